/* The examples to choose from, one's own picture beside them once there is one, and the place to drop a file: anywhere on the drawer.
   props: {examples: [{id, label, url, phantom}], current, own: {id, url}, note, upload: id of the upload button}. Fires "changed" with {id, seq} or {another, seq}. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el;

  L.exampleStrip = (element, props, watch, trigger) => {
    let seq = 0;
    const list = el("div", { class: "lb-examples", role: "group", "aria-label": "Examples" }), hint = el("p", { class: "lb-hint lb-drop-hint" }, props.note);
    const ask = (value) => { seq += 1; props.value = { ...value, seq }; trigger("changed"); };
    const thumb = (id, label, url) => {
      const b = el("button", { type: "button", class: "lb-thumb", "data-id": id, "aria-pressed": "false" }, el("img", { src: url, alt: "", width: 72, height: 72, loading: "lazy" }), el("span", {}, label));
      b.onclick = () => ask({ id });
      return b;
    };
    const mark = () => list.querySelectorAll(".lb-thumb").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.id === props.current)));
    const draw = () => {
      list.replaceChildren(...props.examples.map((one) => thumb(one.id, one.label, one.url)));
      if (props.own && props.own.id) list.append(thumb(props.own.id, "Your picture", props.own.url));
      const made = props.examples.find((one) => one.phantom);
      if (made) { const more = el("button", { type: "button", class: "lb-small" }, "Another phantom"); more.onclick = () => ask({ another: true, id: made.id }); list.append(more); }
      mark();
    };
    element.replaceChildren(list, hint);
    draw();
    watch("current", mark); watch("own", draw);
    dropTarget(element, props.upload);
  };

  /* A file dropped on the drawer goes the way of the upload button, which remains the way for everybody without a mouse. */
  function dropTarget(element, upload) {
    const place = element.closest("[role=tabpanel]") || element, strip = element.closest(".lb-input") || element;
    const files = (event) => [...((event.dataTransfer && event.dataTransfer.types) || [])].includes("Files");
    let over = 0;
    const glow = (on) => strip.classList.toggle("lb-dropping", on);
    place.addEventListener("dragenter", (event) => { if (files(event)) { over += 1; glow(true); event.preventDefault(); } });
    place.addEventListener("dragover", (event) => { if (files(event)) event.preventDefault(); });
    place.addEventListener("dragleave", () => { over = Math.max(0, over - 1); if (!over) glow(false); });
    place.addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault(); over = 0; glow(false);
      const input = uploadInput(upload);
      if (!input || !event.dataTransfer.files.length) return;
      const one = new DataTransfer(); one.items.add(event.dataTransfer.files[0]);
      input.files = one.files; input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
  const uploadInput = (id) => { const button = document.getElementById(id); return button && (button.querySelector("input[type=file]") || (button.parentElement && button.parentElement.querySelector("input[type=file]"))); };
})();
