// Making elements, and times as text. Everything of a report is put in with textContent: its words are untrusted.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") for (const [key, setting] of Object.entries(value)) made.style.setProperty(key, setting);
    else if (name.startsWith("aria-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
const clock = (seconds) => {
  const tenths = Math.round(seconds * 10);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
};
const span = (part) => `${clock(part.start_seconds)} – ${clock(part.end_seconds)}`;
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const isNow = (part, now) => now >= part.start_seconds && now < part.end_seconds;
// The index of the entry of `times` (increasing) that is nearest to `moment`; -1 where there is none.
function nearest(times, moment) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < moment) low = middle + 1;
    else high = middle;
  }
  return low > 0 && moment - times[low - 1] < times[low] - moment ? low - 1 : Math.min(low, times.length - 1);
}
