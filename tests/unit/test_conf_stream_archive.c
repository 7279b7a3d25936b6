/* SPDX-License-Identifier: ISC */
/*
 * The channels that the configuration adds for streams that are archived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"
#include "common/util.h"
#include "tests/unit/conf_support.h"

#define KIB(n)	((uint64_t)(n) << 10)
#define MIB(n)	((uint64_t)(n) << 20)

static const char accel[] = "{\"type\": \"record\", \"name\": \"Accel\", "
    "\"fields\": [{\"name\": \"time\", \"type\": \"long\"}, "
    "{\"name\": \"x\", \"type\": \"double\"}]}";

static const char archived[] =
    "channels:\n"
    "- name: a\n"
    "  listen: {port: 5000, receive_buffer: 1MiB}\n"
    "  payload: {format: avro, schema: accel.avsc,\n"
    "    framing: single-object}\n"
    "  relay: [{address: 239.1.1.1, port: 1}]\n"
    "  archive: {directory: /d, block_size: 1MiB, codec: deflate,\n"
    "    retain: {files: 3}}\n"
    "  cpu: 0\n"
    "  decimate:\n"
    "  - {name: v, method: mean, every: 9, address: 239.1.1.2, port: 3,\n"
    "     archive: true}\n"
    "  - {name: w, method: pick, every: 9, address: 239.1.1.3, port: 3}\n"
    "  - {name: s, shape: summary, every: 9, address: 239.1.1.4, port: 3,\n"
    "     archive: true}\n"
    "- name: b\n"
    "  listen: {port: 5001}\n"
    "  ring_size: 256KiB\n"
    "  archive: {directory: /d}\n"
    "  decimate:\n"
    "  - {name: v, method: pick, every: 9, address: 239.1.1.5, port: 3,\n"
    "     archive: true}\n";

static int
setup(void **state)
{
	if (support_setup(state) != 0)
		return -1;
	support_write("accel.avsc", accel, strlen(accel));
	return 0;
}

/* Behind all others, in their order. */
static void
test_names(void **state ATTR_UNUSED)
{
	static const char *const names[] = {"a", "b", "a.v", "a.s", "b.v"};
	struct conf *conf = support_good(archived);
	char parent[CHANNEL_NAME_MAX + 1];
	size_t i;

	assert_int_equal(conf->channels, NITEMS(names));
	for (i = 0; i < NITEMS(names); i++) {
		assert_string_equal(conf->channel[i].name, names[i]);
		assert_int_equal(conf->channel[i].archives_stream, i >= 2);
		conf_parent_name(parent, names[i]);
		assert_string_equal(parent, i == 1 || i == 4 ? "b" : "a");
	}
	assert_true(conf->channel[0].decimate[0].archive);
	assert_false(conf->channel[0].decimate[1].archive);
	assert_int_equal(conf_channel(conf, "a.s")->archive.retain_files, 3);
	conf_free(conf);
}

static void
test_settings(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(archived);
	const struct channel_conf *v = conf_channel(conf, "a.v");
	const struct sockaddr_in *in = (const void *)&v->listen[0].address;

	assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(in->sin_port, 0);
	assert_int_equal(v->listen[0].receive_buffer, MIB(1));
	assert_string_equal(v->archive.directory, "/d");
	assert_int_equal(v->archive.codec, CODEC_DEFLATE);
	assert_int_equal(v->relays + v->decimates, 0);
	assert_int_equal(v->run.cpu, -1);
	assert_int_equal(v->stale_after_ns, 0);
	assert_int_equal(v->ring_size, MIB(1));
	assert_int_equal(v->archive.block_size, KIB(256));
	v = conf_channel(conf, "b.v");
	assert_int_equal(v->ring_size, KIB(256));
	assert_int_equal(v->archive.block_size, KIB(64));
	conf_free(conf);
}

/* The channel's schema, or the stream's own, which has no header. */
static void
test_payloads(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(archived);
	const struct channel_conf *a = conf_channel(conf, "a");
	const struct channel_conf *v = conf_channel(conf, "a.v");
	const struct channel_conf *s = conf_channel(conf, "a.s");
	const struct datum_program *program = s->program;

	assert_true(conf_same_payload(a, v));
	assert_string_equal(v->schema_text, a->schema_text);
	assert_false(conf_same_payload(a, s));
	assert_string_equal(s->schema_text, a->decimate[2].schema_text);
	assert_int_equal(program->framing.size, 0);
	assert_int_equal(conf_channel(conf, "b.v")->payload, PAYLOAD_RAW);
	assert_null(conf_channel(conf, "b.v")->program);
	/* What is on its way must not meet the other schema. */
	assert_int_equal(conf_compare(conf, v, conf, v), CHANGE_NONE);
	assert_int_equal(conf_compare(conf, v, conf, s), CHANGE_SOCKET);
	conf_free(conf);
}

/* A thousand are enough. */
static void
test_too_many(void **state ATTR_UNUSED)
{
	static const char own[] =
	    "defaults:\n"
	    "  archive: {directory: /d}\n"
	    "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 1}\n"
	    "  decimate: [{name: v, method: pick, every: 9, port: 3,\n"
	    "    address: 239.1.1.2, archive: true}]\n";
	char *text = xcalloc(1, sizeof(own) + 1000 * 64), *problems;
	size_t at = (size_t)sprintf(text, "%s", own);
	unsigned i;

	for (i = 0; i < 999; i++)
		at += (size_t)sprintf(text + at, "- name: c%u\n"
		    "  listen: {port: %u}\n", i, 5000 + i);
	support_write("c.yaml", text, at);
	problems = support_problems("c.yaml");
	assert_string_equal(problems, "4:1: with the archives of streams "
	    "there are 1001 channels: at most 1000\n");
	free(problems);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests(tests, setup, support_teardown);
}
