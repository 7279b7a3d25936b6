// SPDX-License-Identifier: ISC
// Prints each record of an Avro container file as a line of JSON, with the
// npm package avsc.  Bytes are printed as arrays of numbers.
'use strict';

const avro = require('avsc');

const print = (key, value) => {
	if (value && value.type === 'Buffer')
		return value.data;
	return value;
};

avro.createFileDecoder(process.argv[2])
	.on('data', (record) => {
		process.stdout.write(JSON.stringify(record, print) + '\n');
	})
	.on('error', (error) => {
		console.error(error.message);
		process.exitCode = 1;
	});
