// SPDX-License-Identifier: ISC
// Says of each schema, a line of a file each, whether the npm package avsc
// takes it: "ok", or why not.
'use strict';

const fs = require('fs');
const avro = require('avsc');

for (const line of fs.readFileSync(process.argv[2], 'utf8').trim()
	.split('\n')) {
	let said = 'ok';
	try {
		avro.Type.forSchema(JSON.parse(line));
	} catch (error) {
		said = String(error.message).split('\n')[0] || 'refused';
	}
	console.log(said);
}
