/* SPDX-License-Identifier: ISC */
/*
 * From where records come to where they go.  mcrelay-cat.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/datum.h"
#include "common/help.h"
#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/cat/decimal.h"
#include "tools/common/stop.h"

static const struct help_line help_lines[] = {
	{"-c", "conf", "the configuration that knows the channels"},
	{"-e", "end", "end before the first record of this time or sequence"},
	{"-F", "field,...", "only these fields, in this order"},
	{"-f", "", "go on with what is written from now on"},
	{"-i", "interface", "with -l: join the group on this interface"},
	{"--io", "pread", "read files when they are needed; the default"},
	{"--io", "io_uring", "read files ahead"},
	{"--io", "mmap", "map files into memory"},
	{"-l", "address:port", "show what comes live"},
	{"-n", "count", "end after so many records"},
	{"-o", "json", "a line of JSON for each record; this is the default"},
	{"-o", "csv", "the names of the columns, then a line for each record"},
	{"-o", "pcapng", "datagrams as packets for Wireshark"},
	{"-o", "hex", "bytes as hexdump -C shows them"},
	{"-o", "raw", "bytes, and nothing else"},
	{"-o", "avro", "these records as an archive"},
	{"-S", "schema", "with -l: datums of this schema, a file"},
	{"-s", "start", "leave out records of before this time or sequence"},
	{"-t", "", "times as ISO 8601 text, not as numbers"},
	{"-x", "", "bytes in hexadecimal, not in base64"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelay-cat", "1",
    "mcrelay-cat [-ftx] [-c conf] [-e end] [-F field,...] [--io how]\n"
    "           [-n count] [-o json|csv|pcapng|hex|raw|avro] [-s start]\n"
    "           file|directory|channel|nats://server/stream ...\n"
    "       mcrelay-cat -l address:port [-tx] [-e end] [-F field,...]\n"
    "           [-i interface] [-n count] [-o form] [-S schema] [-s start]\n"
    "       mcrelay-cat -h | -V\n",
    help_lines};

bool
cat_done(const struct cat *cat)
{
	return cat->done || cat->failed || cat->out.ended ||
	    stop_requested();
}

void
cat_partly(struct cat *cat, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warnx("%s", text);
	cat->partly++;
}

/* Whether the form can show such records; a log line if not. */
static bool
can_show(const struct cat *cat, const struct shape *shape)
{
	const struct cat_options *options = cat->options;
	const struct records *records = shape->records;

	if (records->program == NULL)
		log_warnx("%s: schema: %s", shape->path, records->error);
	else if (options->form->datagrams && !records->datagrams)
		log_warnx("%s: -o %s is for datagrams, and these are datums "
		    "of a schema", shape->path, options->form->name);
	else if (span_refuses(&options->span, records) != NULL)
		log_warnx("%s: %s", shape->path,
		    span_refuses(&options->span, records));
	else
		return true;
	return false;
}

bool
cat_begin(struct cat *cat, const struct shape *shape)
{
	const struct form *form = cat->options->form;

	columns_free(&cat->columns);
	schema_tree_free(cat->shape.tree);
	cat->shape = *shape;
	cat->shape.tree = NULL;
	if (can_show(cat, shape)) {
		cat->shape.tree = schema_tree_new(shape->schema,
		    shape->schema_size);
		if (cat->shape.tree != NULL &&
		    (form->begin == NULL || form->begin(cat)))
			return true;
	}
	cat->failed = true;
	return false;
}

const uint8_t *
cat_show(struct cat *cat, const uint8_t *at, const uint8_t *end)
{
	const struct cat_options *options = cat->options;
	struct record record = { .data = at };
	enum span_place place;

	if (options->form->reads || !span_is_all(&options->span)) {
		/* It has been read before, and was good. */
		if (records_read(cat->shape.records, at, (size_t)(end - at),
		    &record) != NULL)
			return end;
		place = span_place(&options->span, &record);
		cat->done = place == SPAN_BEHIND;
		if (place != SPAN_WITHIN)
			return at + record.size;
		end = at + record.size;
	}
	at = options->form->put(cat, at, end, &record);
	if (++cat->shown == options->count)
		cat->done = true;
	return at;
}

void
cat_record(struct buffer *record, uint64_t received_ns, uint64_t sequence,
    const struct sockaddr_storage *from, const uint8_t *payload, size_t size)
{
	char source[ADDRESS_TEXT_SIZE];
	const size_t length = format_address((const struct sockaddr *)from,
	    source);
	uint8_t *out;

	buffer_reserve(record, size + sizeof(source) +
	    5 * DATUM_LONG_SIZE_MAX);
	out = record->data;
	out += datum_put_long(out, (int64_t)(received_ns / NS_PER_US));
	out += datum_put_long(out, (int64_t)(received_ns % NS_PER_US));
	out += datum_put_long(out, (int64_t)sequence);
	out += datum_put_long(out, (int64_t)length);
	out = mempcpy(out, source, length);
	out += datum_put_long(out, (int64_t)size);
	if (size > 0)
		out = mempcpy(out, payload, size);
	record->size = (size_t)(out - record->data);
}

void
cat_settle(struct cat *cat)
{
	if (cat->options->form->rest != NULL)
		cat->options->form->rest(cat);
	out_flush(&cat->out);
}

/* What is read ahead of a file. */
#define ROOM_BYTES	((size_t)2 << 20)

static enum cat_status
cat_run(const struct cat_options *options)
{
	struct cat cat = {
		.options = options,
		.done = options->count == 0,
	};
	enum cat_status status = CAT_GOOD;

	out_begin(&cat.out, STDOUT_FILENO);
	reading_begin(&cat.reading, options->io, ROOM_BYTES);
	if (options->live)
		live_run(&cat);
	for (size_t i = 0; i < options->operands && !cat_done(&cat); i++)
		cat_operand(&cat, options->operand[i]);
	cat_settle(&cat);
	if (cat.partly != 0)
		status = CAT_PARTLY;
	if (cat.failed || cat.out.failed)
		status = CAT_FAILED;
	out_end(&cat.out);
	reading_end(&cat.reading);
	columns_free(&cat.columns);
	schema_tree_free(cat.shape.tree);
	free(cat.header);
	free(cat.block.data);
	return status;
}

int
cat_main(int argc, char **argv)
{
	struct cat_options options;
	char error[OPTIONS_ERROR_SIZE];
	enum cat_status status;

	log_init("mcrelay-cat", NULL, LOG_TARGET_STDERR, LOG_INFO);
	help_answer(&help, argc, argv);
	if (!cat_parse(argc, argv, &options, error)) {
		log_warnx("%s", error);
		help_usage(&help);
		free(options.field);
		return CAT_FAILED;
	}
	stop_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	/* A limit is an error like a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	decimal_init();
	status = cat_run(&options);
	free(options.field);
	return (int)status;
}
