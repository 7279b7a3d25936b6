// SPDX-License-Identifier: ISC
// Numbers, times and elements.  Whatever comes from the daemon (names, units,
// reasons) gets into the document as text, by el() and put(), and in no other
// way.

const THIN = "\u202f";		// narrow, and does not break

export const settings = {utc: false};

// el("td", {class: "number"}, "text", element, ...)
export function el(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on"))
			element.addEventListener(name.slice(2), value);
		else if (value === true)
			element.setAttribute(name, "");
		else if (value !== false && value !== null)
			element.setAttribute(name, value);
	}
	element.append(...children);
	return element;
}

// Text that changes seldom: what is the same is left alone.
export function put(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

export function mark(element, name, on) {
	if (element.classList.contains(name) !== on)
		element.classList.toggle(name, on);
}

// Makes the children of `parent' those of `items', in their order: `make'
// gives a new child, which has a function `update(item)'.
export function list(parent, items, key, make) {
	const had = parent.mcrelay ?? new Map();
	const has = new Map();
	const focused = document.activeElement;
	let at = parent.firstChild;

	for (const item of items) {
		const name = key(item);
		const child = had.get(name) ?? make(item);
		has.set(name, child);
		child.update(item);
		if (child === at)
			at = at.nextSibling;
		else
			parent.insertBefore(child, at);
	}
	for (const [name, child] of had)
		if (has.get(name) !== child)
			child.remove();
	parent.mcrelay = has;
	// Who is moved loses the focus.
	if (focused !== document.activeElement && parent.contains(focused))
		focused.focus({preventScroll: true});
}

// 12 345 678
export function count(n) {
	if (!Number.isFinite(n))
		return "\u2013";
	const text = String(Math.abs(Math.round(n)))
	    .replace(/\B(?=(\d{3})+$)/g, THIN);
	return n < 0 ? "\u2212" + text : text;
}

// +12, and nothing for 0
export function change(n) {
	return n ? (n > 0 ? "+" : "") + count(n) : "";
}

export function rate(n) {
	if (n === null || !Number.isFinite(n))
		return "\u2013";
	const size = Math.abs(n);
	if (size === 0)
		return "0";
	if (size < 0.095)
		return "< 0.1";
	return size < 99.95 ? n.toFixed(1).replace("-", "\u2212") : count(n);
}

export function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;

	while (n >= 1024 && i < units.length - 1) {
		n /= 1024;
		i++;
	}
	return (i === 0 || n >= 99.95 ? count(n) : n.toFixed(1)) + THIN +
	    units[i];
}

export function duration(s) {
	if (s === null || !Number.isFinite(s))
		return "\u2013";
	s = Math.max(s, 0);
	const part = (n, unit) => Math.floor(n) + THIN + unit;
	if (s < 9.95)
		return s.toFixed(1) + THIN + "s";
	if (s < 60)
		return part(s, "s");
	const [size, unit, less] = s < 3600 ? [60, "min", "s"] :
	    s < 86400 ? [3600, "h", "min"] : [86400, "d", "h"];
	const rest = s % size / (size === 86400 ? 3600 : size / 60);
	return part(s / size, unit) + (rest < 1 ? "" : " " + part(rest, less));
}

// The parts of a time, in seconds since 1970, as the reader wants them.
function parts(s) {
	const date = new Date(s * 1000);
	const two = n => String(n).padStart(2, "0");
	return settings.utc ? {
		day: date.toISOString().slice(0, 10),
		time: date.toISOString().slice(11, 19),
	} : {
		day: [date.getFullYear(), two(date.getMonth() + 1),
		    two(date.getDate())].join("-"),
		time: [date.getHours(), date.getMinutes(), date.getSeconds()]
		    .map(two).join(":"),
	};
}

function isTime(s) {
	return Number.isFinite(s) && Math.abs(s) < 8.64e12;
}

// With the date if that is another one.
export function time(s, now = Date.now() / 1000) {
	if (!isTime(s))
		return "\u2013";
	const is = parts(s);
	return is.day === parts(now).day ? is.time : `${is.day} ${is.time}`;
}

export function fineTime(s, digits = 3) {
	if (!isTime(s))
		return "\u2013";
	const whole = Math.floor(s);
	const fraction = Math.floor((s - whole) * 10 ** digits);
	return parts(whole).time + "." + String(fraction).padStart(digits, "0");
}

export function zone() {
	if (settings.utc)
		return "UTC";
	const minutes = -new Date().getTimezoneOffset();
	const sign = minutes < 0 ? "\u2212" : "+";
	const two = n => String(n).padStart(2, "0");
	return `UTC${sign}${two(Math.floor(Math.abs(minutes) / 60))}:` +
	    two(Math.abs(minutes) % 60);
}

// A measured value, in five significant digits.
export function value(v) {
	if (!Number.isFinite(v))
		return "\u2013";
	const size = Math.abs(v);
	let text;
	if (size !== 0 && (size < 1e-4 || size >= 1e10))
		text = v.toExponential(4);
	else if (Number.isInteger(v))
		return count(v);
	else
		text = v.toFixed(Math.min(Math.max(
		    4 - Math.floor(Math.log10(size || 1)), 0), 8));
	return text.replace("-", "\u2212");
}

// How a counter that only grows does so, over some seconds: one second alone
// would show when it was looked at.
export class Meter {
	#times = [];
	#values = [];

	constructor(seconds = 5) {
		this.seconds = seconds;
	}

	add(now, value) {
		const last = this.#times.length - 1;
		// The clock was set back: what was before is of no use.
		if (last >= 0 && now <= this.#times[last]) {
			this.#times = [];
			this.#values = [];
		}
		this.#times.push(now);
		this.#values.push(value);
		while (this.#times.length > 2 &&
		    this.#times[1] <= now - this.seconds) {
			this.#times.shift();
			this.#values.shift();
		}
	}

	// What was added in that time, and how much of it was seen.
	get change() {
		return this.#values.length === 0 ? 0 :
		    this.#values[this.#values.length - 1] - this.#values[0];
	}

	get rate() {
		const last = this.#times.length - 1;
		return last < 1 ? null :
		    this.change / (this.#times[last] - this.#times[0]);
	}
}
