// SPDX-License-Identifier: ISC
// Drives Chromium for tests/integration/browser.py: each line of standard
// input is an order, {"code": body of a function of `it' and `args', "args"},
// each line of standard output its {"result"} or {"error"}.  Ends, with the
// browser, when standard input does.
import {createInterface} from "node:readline";
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";

const require = createRequire(import.meta.url);
const {chromium} = require("playwright-core");
const ORDER_MS = 30000;
const Order = Object.getPrototypeOf(async () => {}).constructor;

const it = {
	axe: readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"),
	pages: new Map(),

	async open(name, {url, width, height, scheme, answers}) {
		const context = await it.browser.newContext({colorScheme:
		    scheme,
		    viewport: {width, height}});
		const page = await context.newPage();

		page.setDefaultTimeout(ORDER_MS / 2);
		page.troubles = [];
		page.on("console", message => {
			if (["error", "warning"].includes(message.type()))
				page.troubles.push(`${message.text()} ` +
				    message.location().url);
		});
		page.on("pageerror", error => page.troubles.push(error.stack));
		page.on("dialog", dialog => {
			page.troubles.push(`dialog: ${dialog.message()}`);
			dialog.dismiss();
		});
		await page.addInitScript(() => {
			globalThis.violations = [];
			addEventListener("securitypolicyviolation", event =>
			    violations.push(`${event.violatedDirective} ` +
			    event.blockedURI), true);
		});
		for (const [path, answer] of Object.entries(answers))
			await page.route(path, route => route.fulfill(answer));
		await page.goto(url);
		it.pages.set(name, page);
	},
};

async function obey(line) {
	const {code, args} = JSON.parse(line);
	let timer;
	const late = new Promise((resolve, reject) => {
		timer = setTimeout(() => reject(new Error("took too long")),
		    ORDER_MS);
	});

	try {
		const result = await Promise.race([late,
		    new Order("it", "args", code)(it, args)]);
		return {result: result ?? null};
	} catch (error) {
		return {error: error.stack};
	} finally {
		clearTimeout(timer);
	}
}

it.browser = await chromium.launch({executablePath: process.argv[2],
    args: process.getuid() === 0 ? ["--no-sandbox"] : []});
for await (const line of createInterface({input: process.stdin}))
	console.log(JSON.stringify(await obey(line)));
await it.browser.close();
