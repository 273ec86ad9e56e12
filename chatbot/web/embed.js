// Puts the chat on a company's own page: <script src="https://chat.example.com/embed.js" async></script>
// The origin of that page must stand in allowed_origins of frontdesk.yaml. Attributes of the script tag:
//   data-label="Chat with us"   the words of the button
//   data-color="#0f766e"        the colour of the button
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || document.getElementById("frontdesk-button")) return;
  const origin = new URL(script.src).origin;
  const label = script.dataset.label || "Chat with us";
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // Styles are set one by one: a page's own Content-Security-Policy may forbid style sheets, not this.
  const style = (element, rules) => Object.assign(element.style, rules);

  const button = document.createElement("button");
  button.id = "frontdesk-button";
  button.type = "button";
  button.textContent = label;
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", "frontdesk-panel");
  style(button, {
    position: "fixed", right: "20px", bottom: "20px", zIndex: "2147483001", padding: "13px 22px", border: "0",
    borderRadius: "999px", background: script.dataset.color || "#0f766e", color: "#fff", cursor: "pointer",
    font: "600 16px/1.2 system-ui, sans-serif", boxShadow: "0 4px 18px rgba(15, 23, 42, .28)",
  });

  const panel = document.createElement("div");
  panel.id = "frontdesk-panel";
  panel.setAttribute("role", "dialog");
  panel.setAttribute("aria-label", label);
  panel.hidden = true;
  style(panel, {
    position: "fixed", zIndex: "2147483000", overflow: "hidden", background: "#fff",
    boxShadow: "0 12px 48px rgba(15, 23, 42, .32)",
  });

  const place = () => {
    const phone = innerWidth < 560;
    style(panel, phone
      ? { left: "0", right: "0", top: "0", bottom: "70px", width: "auto", height: "auto", borderRadius: "0" }
      : { left: "auto", right: "20px", top: "auto", bottom: "84px", width: "420px",
          height: `${Math.min(680, innerHeight - 104)}px`, borderRadius: "16px" });
  };

  let frame = null;
  const show = () => {
    if (!frame) { // the chat is loaded when it is asked for, not with the page
      frame = document.createElement("iframe");
      frame.title = label;
      frame.src = `${origin}/`;
      frame.allow = "clipboard-write";
      style(frame, { width: "100%", height: "100%", border: "0", display: "block" });
      panel.append(frame);
    }
    place();
    panel.hidden = false;
    button.textContent = "Close chat";
    button.setAttribute("aria-expanded", "true");
    if (!reduced && panel.animate) panel.animate({ opacity: [0, 1] }, 140);
    frame.focus();
  };
  const hide = () => {
    panel.hidden = true;
    button.textContent = label;
    button.setAttribute("aria-expanded", "false");
    button.focus();
  };

  button.addEventListener("click", () => (panel.hidden ? show() : hide()));
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) hide(); });
  addEventListener("resize", () => { if (!panel.hidden) place(); });
  const add = () => document.body.append(panel, button);
  if (document.body) add(); else addEventListener("DOMContentLoaded", add);
})();
