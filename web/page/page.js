// SPDX-License-Identifier: ISC
// The page: which view the address names, what the daemon is asked for, and
// what everybody should see at once when something does not come.

import {ChannelView} from "./channel.js";
import {Charts} from "./charts.js";
import {Link} from "./link.js";
import {Channels, Overview} from "./overview.js";
import {KEEP_S} from "./series.js";
import {duration, el, list, put, settings, time, zone}
    from "./text.js";

const main = document.getElementById("main");
const banners = document.getElementById("banners");
const channels = new Channels();
const page = {series: new Map(), changed, link: null};

let view = null;		// Overview, ChannelView or ChartsView
let charts = null;		// the view's, or null
let channel = null;		// the view's name, or null
let streams = null;		// the answer of /streams
let asking = null;		// for that: a promise
let again = false;		// and once more
let hello = null;
let down = null;		// since when the supervisor does not answer
let dropped = 0;
let written = null;		// the address as we wrote it

class ChartsView {
	constructor(charts) {
		this.element = el("article", {"aria-labelledby": "title"},
		    el("h1", {id: "title", class: "hidden"}, "Charts"),
		    charts.element);
		this.charts = charts;
	}

	update() {}

	end() {
		this.charts.end();
	}
}

// The address behind #: a path, and a choice: c=FIELD (each), w=SECONDS, utc=1.
function address() {
	const [path, query] = location.hash.slice(1).split("?", 2);
	const choice = new URLSearchParams(query ?? "");
	const words = path.split("/").slice(1);
	let name = null;

	try {
		name = words[0] === "channel" && words[1] ?
		    decodeURIComponent(words[1]) : null;
	} catch {
		// A broken address is that of the overview.
	}
	return {channel: name, charts: words[0] === "charts" || name !== null,
	    keys: choice.has("c") ? choice.getAll("c").filter(key => key) :
	    null,
	    span: Number(choice.get("w")), utc: choice.get("utc") === "1"};
}

function setTitle() {
	const title = channel ?? (charts === null ? "channels" : "charts");

	document.title = `${title} \u2013 mcrelay` + (hello?.host ?
	    ` on ${hello.host}` : "");
}

function route() {
	const to = address();

	if (location.hash === written)
		return;
	written = location.hash;
	if (location.hash.includes("?"))
		setZone(to.utc);
	view?.end();
	channel = to.channel;
	charts = to.charts ? new Charts(page, channel, to) : null;
	view = channel !== null ? new ChannelView(channel, charts) :
	    charts !== null ? new ChartsView(charts) : new Overview(channels);
	main.replaceChildren(view.element);
	setTitle();
	for (const [id, is] of [["nav-overview", charts === null],
	    ["nav-charts", charts !== null && channel === null]])
		document.getElementById(id).toggleAttribute("aria-current", is);
	if (charts !== null) {
		charts.tellDropped(dropped);
		if (streams !== null)
			charts.setStreams(streams);
	}
	if (streams !== null)
		ask();
}

// Who has another choice, or another window, finds it in the address.
function changed() {
	const choice = new URLSearchParams();

	if (charts === null)
		return;
	for (const key of charts.keys?.length === 0 ? [""] : charts.keys ?? [])
		choice.append("c", key);
	choice.append("w", charts.span);
	if (settings.utc)
		choice.append("utc", "1");
	written = "#" + (channel === null ? "/charts" :
	    `/channel/${encodeURIComponent(channel)}`) + `?${choice}`;
	history.replaceState(null, "", written);
	// What is chosen here, and of other channels, can be seen together.
	document.getElementById("nav-charts").href = `#/charts?${choice}`;
	ask();
}

function ask() {
	const wanted = charts?.wanted ?? [];

	for (const name of page.series.keys())
		if (!wanted.includes(name))
			page.series.delete(name);
	page.link.want({channel, streams: wanted,
	    since: Math.min(charts?.since ?? 60, KEEP_S)});
}

// Streams of one schema have one layout.
async function fetchStreams() {
	const answer = await fetch("streams");

	if (!answer.ok)
		return null;
	const all = await answer.json();
	return all.streams.map(stream =>
	    ({...stream, ...all.layouts[stream.layout]}));
}

async function readStreams() {
	do {
		again = false;
		try {
			streams = await fetchStreams();
		} catch {
			// It is tried again with what the daemon sends next.
			streams = null;
		}
	} while (again);
	if (streams !== null)
		charts?.setStreams(streams);
	ask();
}

function askStreams() {
	// What is under way may be older than what makes us ask.
	again = asking !== null;
	asking ??= readStreams().finally(() => {
		asking = null;
	});
	return asking;
}

// They have other numbers, or are others.
async function streamsAnew() {
	streams = null;
	await askStreams();
	page.link.reopen();
}

function seriesOf(id) {
	const stream = streams?.find(each => each.id === id);

	return stream === undefined ? undefined :
	    page.series.get(`${stream.channel}/${stream.stream}`);
}

const handlers = {
	hello(data) {
		const other = hello !== null && hello.epoch !== data.epoch;

		hello = data;
		put(document.getElementById("host"), data.host ?? "");
		setTitle();
		for (const series of page.series.values())
			series.resume();
		// Another process has other numbers for its streams.
		if (other)
			streamsAnew();
	},
	overview(data) {
		down = data.down ? data : null;
		if (streams === null)
			askStreams();
		if (!data.down) {
			channels.take(data);
			view.update();
		}
		look();
	},
	channel(data) {
		view.take?.(data, page.link.now);
	},
	datums({s, d}) {
		const series = seriesOf(s);

		if (series === undefined)
			return;
		for (const datum of d)
			series.add(datum);
		charts?.came();
	},
	gap({s, t, missed}) {
		seriesOf(s)?.lost(t, missed);
		charts?.came();
	},
	dropped({events}) {
		dropped += events;
		charts?.tellDropped(dropped);
	},
	streams() {
		page.series.clear();
		streamsAnew();
	},
	link: look,
};

// What is wrong with what is shown, for everybody to see.
function trouble() {
	const {link} = page;
	const as = channels.now === null ? "" : "  What is shown is as of " +
	    `${time(channels.now, link.now)}.`;
	const found = [];

	if (!link.live && link.age > 1.5)
		found.push({key: "link", text:
		    "No connection to mcrelay-web for " +
		    `${duration(Math.floor(link.age))}; trying again.${as}`});
	if (down !== null)
		found.push({key: "down", text: "mcrelayd does not answer" +
		    (down.since ? ` since ${time(down.since, link.now)}` : "") +
		    `.${as}`});
	return found;
}

function look() {
	const {link} = page;
	const found = trouble();

	list(banners, found, banner => banner.key, () => {
		const banner = el("p");
		banner.update = ({key, text}) => {
			banner.dataset.kind = key;
			put(banner, text);
		};
		return banner;
	});
	const state = document.getElementById("link");
	const words = link.live ? "live" : hello === null ? "connecting" :
	    "reconnecting";
	put(state, words);
	state.dataset.state = words;
	document.body.classList.toggle("old", found.length > 0);
	put(document.getElementById("age"), channels.now === null ? "" :
	    `data ${duration(link.now - channels.now)} old`);
	put(document.getElementById("clock"),
	    `${time(link.now, link.now)} ${zone()}`);
}

function setZone(utc) {
	settings.utc = utc;
	document.getElementById("utc").checked = utc;
}

document.getElementById("utc").addEventListener("change", event => {
	setZone(event.target.checked);
	charts?.layout();
	view?.update();
	changed();
	look();
});
document.querySelector(".skip").addEventListener("click", event => {
	event.preventDefault();
	main.focus();
});
page.link = new Link(handlers);
addEventListener("hashchange", route);
setInterval(look, 500);
route();
askStreams();
// For bench/page and the tests.
globalThis.mcrelay = {page, charts: () => charts, series: page.series};
