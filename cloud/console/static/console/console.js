// Pages that follow: a websocket says that something moved, and the marked parts are asked for again.
// Nothing is drawn here: what the server sends is already escaped, and this only puts it in place.
"use strict";

(function () {
  const RECONNECT_MS = [1000, 2000, 5000, 15000, 30000];
  const PAUSE_MS = 400;

  function follow(root) {
    const pauseMs = Number(root.dataset.livePauseMs) || PAUSE_MS;
    let failures = 0;
    let after = root.dataset.liveAfter || "";
    let isAsking = false;
    let isDue = false;
    let askedAt = 0;

    async function ask() {
      // Nobody sees a page in the background: it catches up when it is looked at.
      if (isAsking || document.hidden) {
        isDue = true;
        return;
      }
      isAsking = true;
      isDue = false;
      askedAt = Date.now();
      try {
        const answer = await fetch(window.location.href, { headers: { Accept: "text/html" }, redirect: "error" });
        if (answer.ok) {
          place(new DOMParser().parseFromString(await answer.text(), "text/html"));
        }
      } catch (error) {
        // The next word of the feed, or the reconnect, asks again.
      } finally {
        isAsking = false;
      }
      if (isDue) {
        window.setTimeout(ask, Math.max(0, pauseMs - (Date.now() - askedAt)));
      }
    }

    function place(fresh) {
      for (const part of root.querySelectorAll("[data-live-part]")) {
        const next = fresh.getElementById(part.id);
        if (!next || next.innerHTML === part.innerHTML) {
          continue;
        }
        const focused = part.contains(document.activeElement) ? path(part, document.activeElement) : null;
        const closed = new Set([...part.querySelectorAll("details:not([open])")].map((one) => one.innerText));
        part.replaceChildren(...next.childNodes);
        for (const one of part.querySelectorAll("details")) {
          if (closed.has(one.innerText)) {
            one.removeAttribute("open");
          }
        }
        if (focused) {
          refocus(part, focused);
        }
      }
      root.dataset.liveShown = String(Number(root.dataset.liveShown || "0") + 1);
    }

    function path(part, element) {
      return element.getAttribute("href") || element.id || "";
    }

    function refocus(part, name) {
      for (const one of part.querySelectorAll("a[href], [id]")) {
        if (one.getAttribute("href") === name || one.id === name) {
          one.focus({ preventScroll: true });
          return;
        }
      }
    }

    function connect() {
      const url = new URL(root.dataset.liveUrl, window.location.href);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      if (root.dataset.liveRun) {
        url.searchParams.set("run", root.dataset.liveRun);
      }
      if (after) {
        url.searchParams.set("after", after);
      }
      const socket = new WebSocket(url);
      socket.onopen = () => {
        failures = 0;
        root.dataset.liveState = "following";
      };
      socket.onmessage = (message) => {
        const events = JSON.parse(message.data).events;
        if (events.length) {
          after = String(events[events.length - 1].id);
        }
        const step = root.dataset.liveStep;
        if (!step || events.some((event) => event.step_id === step)) {
          ask();
        }
      };
      socket.onclose = (closed) => {
        root.dataset.liveState = "interrupted";
        if (closed.code === 4401 || closed.code === 4403) {
          return;
        }
        window.setTimeout(connect, RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)]);
        failures += 1;
      };
    }

    document.addEventListener("visibilitychange", () => {
      if (isDue && !document.hidden) {
        ask();
      }
    });
    connect();
  }

  async function copy(event) {
    const button = event.target.closest(".console-copy");
    if (button) {
      const secret = document.getElementById("secret");
      button.textContent = (await isCopied(secret)) ? "Copied" : "Press Ctrl+C";
    }
  }

  async function isCopied(secret) {
    // Browsers have a clipboard for pages of https and of this machine only; others copy what is selected.
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(secret.textContent);
        return true;
      } catch (error) {
        // Not allowed here: it is left selected, for Ctrl+C.
      }
    }
    window.getSelection().selectAllChildren(secret);
    return document.execCommand("copy");
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-live]").forEach(follow);
    document.addEventListener("click", copy);
  });
})();
