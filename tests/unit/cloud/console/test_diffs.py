from cloud.console import diffs

PATCH = """diff --git a/old.py b/new.py
similarity index 60%
rename from old.py
rename to new.py
--- a/old.py
+++ b/new.py
@@ -1,3 +1,3 @@ def f():
 same
--- a comment that went
+++ a comment that came
 end
diff --git a/logo.png b/logo.png
new file mode 100644
GIT binary patch
literal 3
KcmZQz
"""


def kinds(patch: str) -> list[tuple[str, str]]:
    return [(line.kind, line.text) for file in diffs.diff_of(patch).files for line in file.lines]


def test_files_and_counts_are_told() -> None:
    diff = diffs.diff_of(PATCH)
    assert [(file.name, file.added, file.removed) for file in diff.files] == [("new.py", 1, 1), ("logo.png", 0, 0)]
    assert diff.is_whole


def test_what_looks_like_a_head_inside_a_hunk_is_content() -> None:
    assert ("removed", "-- a comment that went") in kinds(PATCH)
    assert ("added", "++ a comment that came") in kinds(PATCH)


def test_lines_are_numbered_on_both_sides() -> None:
    lines = [line for line in diffs.diff_of(PATCH).files[0].lines if line.kind in {"same", "added", "removed"}]
    assert [(line.old, line.new) for line in lines] == [(1, 1), (2, None), (None, 2), (3, 3)]


def test_a_plain_diff_without_gits_heads_is_read_too() -> None:
    diff = diffs.diff_of("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n--- c\n+++ d\n@@ -0,0 +1 @@\n+z\n")
    assert [(file.name, file.added, file.removed) for file in diff.files] == [("a", 1, 1), ("c", 1, 0)]


def test_a_long_patch_says_how_much_is_shown() -> None:
    count = diffs.LINES_MAX + 50
    diff = diffs.diff_of(f"@@ -0,0 +1,{count} @@\n" + "+x\n" * count)
    assert (diff.shown_lines, diff.total_lines, diff.is_whole) == (diffs.LINES_MAX, count + 1, False)


def test_a_line_that_is_cut_makes_the_diff_incomplete() -> None:
    diff = diffs.diff_of("@@ -0,0 +1 @@\n+" + "x" * (diffs.LINE_CHARACTERS + 10) + "\n")
    assert not diff.is_whole
    assert "more characters" in diff.files[0].lines[-1].text


def test_what_a_browser_would_hide_or_turn_around_is_spelled_out() -> None:
    assert kinds("@@ -0,0 +1 @@\n+if x\u202e:\u200b\r\n")[-1] == ("added", "if x⟨U+202E⟩:⟨U+200B⟩⟨U+000D⟩")


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert diffs.text_of(b"+caf\xe9 \xf0\x9f\x98\x80 \x00\n") == "+caf⟨0xE9⟩ 😀 \x00\n"
    assert diffs.text_of("+ä\n".encode()) == "+ä\n"


def test_nothing_is_nothing() -> None:
    assert diffs.diff_of("").files == []
