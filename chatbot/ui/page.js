(() => {
  "use strict";
  const find = (selector) => document.querySelector(selector);
  const coarse = matchMedia("(pointer: coarse)").matches; // focus would open the keyboard of a phone

  // After a quick reply, a first question or a new chat, the next words belong in the input again.
  const focusInput = () => { if (!coarse) find("#fd-input textarea")?.focus(); };
  document.addEventListener("click", (event) => {
    if (event.target.closest(".option, .example, #fd-new, #fd-again, #fd-list button")) setTimeout(focusInput, 60);
  });

  // What is sent while a reply is written waits for its end. Enter pressed twice, or on nothing, would then send what is
  // half typed by that time.
  let sent = { words: "", at: 0 };
  addEventListener("input", () => { sent = { words: "", at: 0 }; }, true); // the same words typed anew are meant
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.closest?.("#fd-input textarea")) return;
    const words = event.target.value;
    if (!words.trim() || (words === sent.words && event.timeStamp - sent.at < 1000)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else sent = { words, at: event.timeStamp };
  }, true);

  // Copy what is read, not the HTML that stands behind it.
  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy"); // without https there is no clipboard
    area.remove();
  };
  addEventListener("click", (event) => {
    const button = event.target.closest?.("#fd-chat button[title^='Copy']");
    if (!button) return;
    const before = (words) => words.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING;
    const words = [...document.querySelectorAll("#fd-chat .fd-answer, #fd-chat .fd-said")].filter(before).pop();
    if (!words) return;
    event.stopImmediatePropagation();
    copy(words.innerText.trim()).then(() => {
      button.classList.add("fd-copied");
      setTimeout(() => button.classList.remove("fd-copied"), 1500);
    });
  }, true);

  // Gradio reloads a page that lost its server for a moment; what was typed and not sent yet stays.
  const DRAFT = "fd-draft";
  const draft = (act) => { try { return act(sessionStorage); } catch { return null; } }; // a frame may have no storage
  addEventListener("pagehide", () => {
    const words = find("#fd-input textarea")?.value;
    if (words) draft((store) => store.setItem(DRAFT, words));
  });
  let tries = 600; // a minute
  const waiting = setInterval(() => {
    const area = find("#fd-input textarea");
    if (!tries--) clearInterval(waiting); // a page without a chat
    if (!area || !find("#fd-ticket :is(input, textarea)")?.value) return; // the page is not loaded yet
    clearInterval(waiting);
    const words = draft((store) => store.getItem(DRAFT));
    draft((store) => store.removeItem(DRAFT));
    if (!words || area.value) return;
    area.value = words;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }, 100);

  // Gradio names neither its send and stop buttons nor the field for a reader of screens.
  const name = () => {
    for (const [selector, label] of [["#fd-input .submit-button", "Send"], ["#fd-input .stop-button", "Stop"]]) {
      const button = find(selector);
      if (button && button.getAttribute("aria-label") !== label) {
        button.setAttribute("aria-label", label);
        button.title = label;
      }
    }
  };
  new MutationObserver(name).observe(document.documentElement, { childList: true, subtree: true });
})();
