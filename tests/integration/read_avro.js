// SPDX-License-Identifier: ISC
// Prints each record of an Avro container file as a line of JSON, with the
// npm package avsc.  Bytes are printed as arrays of numbers.
'use strict';

const avro = require('avsc');
const fzstd = require('fzstd');
const snappyjs = require('snappyjs');

const print = (key, value) => {
	if (value && value.type === 'Buffer')
		return value.data;
	return value;
};

// Null and deflate it has; the others are brought along.  The last four bytes
// of a snappy block are a checksum.
const codecs = {
	null: avro.streams.BlockDecoder.defaultCodecs().null,
	deflate: avro.streams.BlockDecoder.defaultCodecs().deflate,
	snappy: (data, done) => done(null, Buffer.from(
	    snappyjs.uncompress(data.subarray(0, data.length - 4)))),
	zstandard: (data, done) => done(null, Buffer.from(
	    fzstd.decompress(data))),
};

avro.createFileDecoder(process.argv[2], {codecs})
	.on('data', (record) => {
		process.stdout.write(JSON.stringify(record, print) + '\n');
	})
	.on('error', (error) => {
		console.error(error.message);
		process.exitCode = 1;
	});
