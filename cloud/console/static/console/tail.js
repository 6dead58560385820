// What a step at work says, below its page and its run's: asked for where the page ends, and held back by the server
// until there is more. Each question is a call of the organization's and stands in its audit: a page asks every five
// seconds at most while something is said, every ten while nothing is, and a step that stays silent less and less often.
// Text is put in place as text, never as markup. Nobody sees a page in the background: it asks when it is looked at.
"use strict";

(function () {
  const PAUSE_MS = 5000;
  const SILENT_MS = 10000;
  const SILENT_MS_MAX = 40000;
  const RETRY_MS = 15000;
  const BOXES = 3;
  const SHOWN_CHARACTERS = 200000;

  let isSilent = false;
  let nextAt = 0;

  // The page's turn to ask, whichever step it is about.
  function turn() {
    const at = Math.max(performance.now(), nextAt);
    nextAt = at + (isSilent ? SILENT_MS : PAUSE_MS);
    return new Promise((resolve) => window.setTimeout(resolve, at - performance.now()));
  }

  function box(boxes, marker) {
    const found = boxes.querySelector(`[data-tail-box="${marker.dataset.tail}"]`);
    if (found) {
      return found;
    }
    const made = document.createElement("section");
    made.className = "console-card";
    made.dataset.tailBox = marker.dataset.tail;
    made.dataset.tailUrl = marker.dataset.tailUrl;
    made.hidden = true;
    const head = document.createElement("h2");
    head.textContent = `${marker.dataset.tailTitle} `;
    const note = document.createElement("small");
    note.dataset.tailNote = "";
    head.append(note);
    const text = document.createElement("pre");
    text.className = "console-text console-log";
    text.tabIndex = 0;
    text.dataset.tailText = "";
    made.append(head, text);
    boxes.append(made);
    return made;
  }

  function follow(where) {
    const step = where.dataset.tailBox;
    const text = where.querySelector("[data-tail-text]");
    const note = where.querySelector("[data-tail-note]");
    let attempt = where.dataset.tailAttempt || "";
    let offset = Number(where.dataset.tailOffset || "0");
    let isComplete = where.dataset.tailComplete === "yes";
    let attempts = "";
    let isBusy = false;
    let silence = SILENT_MS;
    text.scrollTop = text.scrollHeight;

    function look() {
      const marker = document.querySelector(`[data-tail="${step}"]`);
      if (marker && attempts && marker.dataset.tailAttempts !== attempts && isComplete) {
        // Another try: its output begins anew.
        attempt = "";
        isComplete = false;
      }
      attempts = marker ? marker.dataset.tailAttempts : attempts;
      // What began is read to its end, also where the step has ended meanwhile.
      if (!isBusy && !isComplete && !document.hidden && (marker || attempt)) {
        ask();
      }
    }

    async function ask() {
      isBusy = true;
      await turn();
      if (document.hidden) {
        isBusy = false;
        return;
      }
      let pause = PAUSE_MS;
      try {
        const url = new URL(where.dataset.tailUrl, window.location.href);
        if (attempt) {
          url.searchParams.set("attempt", attempt);
          url.searchParams.set("offset", String(offset));
        }
        const answer = await fetch(url, { headers: { Accept: "application/json" }, redirect: "error" });
        const told = await answer.json();
        if (answer.ok) {
          show(told);
          isSilent = !told.text;
          if (isSilent) {
            pause = silence;
            silence = Math.min(2 * silence, SILENT_MS_MAX);
          } else {
            silence = SILENT_MS;
          }
        } else {
          note.textContent = told.detail;
          // A step that is over is not waited for: what its page had stays.
          isComplete = !told.retryable || !document.querySelector(`[data-tail="${step}"]`);
          pause = RETRY_MS;
        }
      } catch (error) {
        pause = RETRY_MS;
      }
      window.setTimeout(() => {
        isBusy = false;
        look();
      }, pause);
    }

    function show(told) {
      if (told.attempt_id !== attempt) {
        text.textContent = "";
        attempt = told.attempt_id || "";
      } else if (told.offset !== offset) {
        text.append(`\n… ${told.offset - offset} bytes are left out here …\n`);
      }
      const isAtEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
      text.append(told.text);
      if (text.textContent.length > SHOWN_CHARACTERS) {
        text.textContent = text.textContent.slice(-SHOWN_CHARACTERS);
      }
      if (isAtEnd) {
        text.scrollTop = text.scrollHeight;
      }
      offset = told.next_offset;
      isComplete = told.is_complete;
      note.textContent = isComplete ? `${told.size_bytes} bytes` : `${told.size_bytes} bytes, still growing`;
      where.hidden = where.hidden && !told.text;
      where.dataset.tailState = isComplete ? "complete" : "following";
    }

    return look;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const boxes = document.getElementById("tails");
    if (!boxes) {
      return;
    }
    const looks = new Map();
    function look() {
      for (const marker of [...document.querySelectorAll("[data-tail]")].slice(0, BOXES)) {
        box(boxes, marker);
      }
      for (const where of boxes.querySelectorAll("[data-tail-box]")) {
        if (!looks.has(where)) {
          looks.set(where, follow(where));
        }
        looks.get(where)();
      }
    }
    const drawn = new MutationObserver(look);
    for (const part of document.querySelectorAll("[data-live-part]")) {
      drawn.observe(part, { childList: true });
    }
    document.addEventListener("visibilitychange", look);
    look();
  });
})();
