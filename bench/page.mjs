// SPDX-License-Identifier: ISC
// How many frames a second the page draws in Chromium, without a display or a
// graphics card: eight charts of a thousand points each, twenty updates a
// second.
//
//	node bench/page.mjs [SECONDS]
//
// Needs `npm ci' in web/ and in tests/page/, and the Debian package chromium.
import {createRequire} from "node:module";
import {join} from "node:path";
import {makeStreams, serve} from "./page_server.mjs";

const TOP = new URL("..", import.meta.url).pathname;
const {chromium} = createRequire(join(TOP, "tests/page/package.json"))(
    "playwright-core");
const CHARTS = 8, POINTS = 1000, RATE = 20, WARM_UP_S = 3;
const seconds = Number(process.argv[2] ?? 10);

// In the page: when each frame began, in ms.
function record(seconds) {
	return new Promise(resolve => {
		const times = [];
		const charts = globalThis.mcrelay.charts();
		const before = charts.frames;
		const frame = now => {
			times.push(now);
			if (now - times[0] < seconds * 1000)
				requestAnimationFrame(frame);
			else
				resolve({times, drawn: charts.frames - before});
		};
		requestAnimationFrame(frame);
	});
}

// Processor seconds that the browser's processes have had, by kind.
async function used(session) {
	const {processInfo} = await session.send("SystemInfo.getProcessInfo");
	const all = {};

	for (const {type, cpuTime} of processInfo)
		all[type] = (all[type] ?? 0) + cpuTime;
	return all;
}

async function measure(session, page, name) {
	const before = await used(session);
	const {times, drawn} = await page.evaluate(record, seconds);
	const after = await used(session);
	const steps = times.slice(1).map((time, i) => time - times[i])
	    .sort((a, b) => a - b);
	const lasted = (times[times.length - 1] - times[0]) / 1000;
	const at = part => steps[Math.floor(steps.length * part)].toFixed(1);
	const each = type => ((after[type] - before[type]) * 1000 / drawn)
	    .toFixed(1);
	const perS = n => (n / lasted).toFixed(1);
	console.log(`${name}: ${perS(steps.length)} frames/s, ` +
	    `${perS(drawn)} of them drawn; ms from frame to ` +
	    `frame: median ${at(0.5)}, 99 % ${at(0.99)}, most ` +
	    `${steps[steps.length - 1].toFixed(1)}; processor ms for each ` +
	    `drawn: page ${each("renderer")}, painting ${each("GPU")}`);
}

const server = await serve({streams: makeStreams(CHARTS, RATE), rate: RATE,
    history: POINTS, directories: [join(TOP, "web/page"),
    join(TOP, "web/node_modules/uplot/dist")]});
const browser = await chromium.launch({executablePath: "/usr/bin/chromium",
    args: process.getuid() === 0 ? ["--no-sandbox"] : []});
const session = await browser.newBrowserCDPSession();
const page = await browser.newPage({viewport: {width: 1400, height: 1000}});
const fields = Array.from({length: CHARTS}, (unused, i) =>
    `c=${encodeURIComponent(`sensor${i + 1}/peaks/x`)}`).join("&");

page.on("pageerror", error => console.error(error.stack));
for (const span of [60, 10]) {
	await page.goto("about:blank");
	await page.goto(`http://127.0.0.1:${server.address().port}/#/charts?` +
	    `${fields}&w=${span}`);
	await page.waitForFunction(n => [...mcrelay.series.values()]
	    .filter(series => series.end >= 1000).length === n, CHARTS);
	await page.waitForTimeout(WARM_UP_S * 1000);
	await measure(session, page, `${CHARTS} charts, window ${span} s`);
}
await browser.close();
server.closeAllConnections();
server.close();
