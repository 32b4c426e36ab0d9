// What can be read or used and lies over something else, and what is cut off: two lists, empty on a page that is in order.
() => {
  const SLACK_PX = 2;
  const CONTROLS = "a, button, input, select, textarea, summary, progress";
  const both = (one, other) => ({
    left: Math.max(one.left, other.left), right: Math.min(one.right, other.right),
    top: Math.max(one.top, other.top), bottom: Math.min(one.bottom, other.bottom),
  });
  const isThere = (box) => box.right - box.left > SLACK_PX && box.bottom - box.top > SLACK_PX;
  const isShortened = (style) => style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none";
  // What lies outside of the window to the left, or is a dot, is for who hears the page, or for the keyboard.
  const isAway = (element) => {
    const box = element.closest(".default, .skip, .cards > thead")?.getBoundingClientRect();
    return box && (box.right < 0 || (box.width <= 1 && box.height <= 1));
  };
  const cut = [];
  // The part of a box that its ancestors let through; what they cut sideways without saying so by three dots is told.
  const seen = (box, element) => {
    let left = box;
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const frame = one.getBoundingClientRect();
      if (!isShortened(style) && (left.right > frame.right + 1 || left.left < frame.left - 1) && one !== element)
        cut.push(one.outerHTML.slice(0, 200));
      left = both(left, frame);
    }
    return left;
  };
  const items = [];
  const add = (owner, boxes, says) => {
    if (!owner.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || isAway(owner)) return;
    for (const one of boxes) {
      const box = seen(one, owner);
      if (isThere(box)) items.push({ owner, box, says });
    }
  };
  for (const one of document.body.querySelectorAll(CONTROLS)) add(one, one.getClientRects(), one.outerHTML.slice(0, 120));
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const owner = node.parentElement;
    if (!node.data.trim() || owner.closest("script, style, noscript, option, textarea")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    add(owner, range.getClientRects(), `“${node.data.trim().slice(0, 60)}”`);
  }
  const over = [];
  items.forEach((one, place) => {
    for (const other of items.slice(place + 1)) {
      if (one.owner.contains(other.owner) || other.owner.contains(one.owner)) continue;
      if (isThere(both(one.box, other.box))) over.push(`${one.says} and ${other.says}`);
    }
  });
  return { over, cut };
}
