// SPDX-License-Identifier: ISC
// What mcrelay-web serves to the page, as far as a measurement of the page
// needs it: made-up streams at a steady rate, and a history of each.
import {createServer} from "node:http";
import {existsSync, readFileSync} from "node:fs";
import {join} from "node:path";

const TYPES = {html: "text/html; charset=utf-8", js: "text/javascript",
    css: "text/css", svg: "image/svg+xml"};
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'";

const AXES = ["x", "y", "z", "temperature"];

export function makeStreams(n, rate) {
	return Array.from({length: n}, (unused, i) => ({
		id: i, channel: `sensor${i + 1}`, stream: "peaks", shape:
		    "summary",
		interval_s: 1 / rate, every: null, doc: null,
		fields: AXES.map(name => ({name, unit: name === "temperature" ?
		    "\u00b0C" : "m/s\u00b2", doc: null})),
	}));
}

// One datum: a slow wave with noise, and now and then a spike.
function datum(stream, time, step) {
	const values = stream.fields.map((field, i) => {
		const mean = Math.sin(time / 3 + i + stream.id) +
		    0.1 * Math.random();
		const high = mean + 0.2 + 0.1 * Math.random() +
		    (Math.random() < 0.005 ? 1.5 : 0);
		return [mean - 0.3, time - step * Math.random(), high,
		    time - step * Math.random(), mean, Math.abs(mean) + 0.1];
	});

	return [time, 0, ...values];
}

function status(streams, began) {
	const s = Date.now() / 1000 - began;

	return {now: Date.now() / 1000, down: false,
	    channels: streams.map(stream => [stream.channel, "running", [],
	    Math.round(s * 1000), 0, 0, Date.now() / 1000, began, 4000])};
}

function live(streams, rate, history, request, response) {
	const query = new URL(request.url, "http://x").searchParams;
	const wanted = streams.filter(stream => query.getAll("stream")
	    .includes(`${stream.channel}/${stream.stream}`));
	const began = Date.now() / 1000;
	let number = 0;
	const send = (kind, data) => response.write(`event: ${kind}\n` +
	    `id: 1-${number++}\ndata: ${JSON.stringify(data)}\n\n`);

	response.writeHead(200, {"Content-Type": "text/event-stream"});
	send("hello", {version: "0", host: "bench", now: began, epoch: "1"});
	for (const stream of wanted)
		send("datums", {s: stream.id, d: Array.from({length: history},
		    (unused, i) => datum(stream, began + (i - history) / rate,
		    1 / rate))});
	const each = setInterval(() => {
		const now = Date.now() / 1000;
		for (const stream of wanted)
			send("datums", {s: stream.id,
			    d: [datum(stream, now, 1 / rate)]});
	}, 1000 / rate);
	const second = setInterval(() =>
	    send("overview", status(streams, began)), 1000);
	request.on("close", () => {
		clearInterval(each);
		clearInterval(second);
	});
}

// directories: where the page and uPlot are.
export function serve({directories, streams, rate, history}) {
	const server = createServer((request, response) => {
		const path = request.url.split("?")[0];
		if (path === "/live") {
			live(streams, rate, history, request, response);
			return;
		}
		if (path === "/streams") {
			response.writeHead(200, {"Content-Type":
			    "application/json"});
			response.end(JSON.stringify({
				layouts: streams.map(({doc, fields}) =>
				    ({doc, fields})),
				streams: streams.map((stream, layout) =>
				    ({...stream, layout})),
			}));
			return;
		}
		const name = path === "/" ? "index.html" : path.slice(1);
		const file = /^[\w.]+$/.test(name) && directories
		    .map(directory => join(directory, name)).find(existsSync);
		response.writeHead(file ? 200 : 404, {"Content-Type":
		    TYPES[name.split(".").pop()] ?? "text/plain",
		    "Content-Security-Policy": CSP});
		response.end(file ? readFileSync(file) : "no\n");
	});

	return new Promise(resolve => server.listen(0, "127.0.0.1",
	    () => resolve(server)));
}
