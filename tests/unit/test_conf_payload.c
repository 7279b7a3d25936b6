/* SPDX-License-Identifier: ISC */
/*
 * What becomes of a channel's payload keys: the program's framing, and where
 * the worker finds the sender's numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/datum.h"
#include "tests/unit/conf_support.h"

static const char accel[] = "{\"type\": \"record\", \"name\": \"Accel\", "
    "\"fields\": [{\"name\": \"time\", \"type\": \"long\"}, "
    "{\"name\": \"x\", \"type\": \"double\"}]}";

static int
setup(void **state)
{
	if (support_setup(state) != 0)
		return -1;
	support_write("accel.avsc", accel, strlen(accel));
	return 0;
}

static const char payloads[] =
    "defaults:\n"
    "  payload: {format: avro, schema: accel.avsc, framing: confluent,\n"
    "    schema_id: 4294967295, sequence: {field: time}}\n"
    "channels:\n"
    "  - name: confluent\n"
    "    listen: {address: 127.0.0.1, port: 1}\n"
    "  - name: single\n"
    "    listen: {address: 127.0.0.1, port: 2}\n"
    "    payload: {framing: single-object}\n"
    "  - name: raw\n"
    "    listen: {address: 127.0.0.1, port: 3}\n"
    "    payload: {format: raw, sequence: {offset: 12, type: u16be}}\n";

/* Framing goes into the datum program, the numbering to the worker. */
static void
test_payloads(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(payloads);
	const struct channel_conf *c = conf_channel(conf, "confluent");
	const struct datum_program *program = c->program;

	assert_int_equal(program->framing.size, 5);
	assert_int_equal(program->framing.magic, 1);
	assert_memory_equal(program->framing.bytes, "\0\377\377\377\377", 5);
	assert_int_equal(c->sender_sequence.type, SENDER_SEQUENCE_FIELD);
	assert_string_equal(datum_field_name(program, c->sender_sequence.at),
	    "time");
	c = conf_channel(conf, "single");
	program = c->program;
	assert_int_equal(program->framing.size, 10);
	assert_int_equal(program->framing.magic, 2);
	assert_memory_equal(program->framing.bytes, "\xc3\x01", 2);
	assert_int_equal(c->sender_sequence.type, SENDER_SEQUENCE_FIELD);
	c = conf_channel(conf, "raw");
	assert_null(c->program);
	assert_int_equal(c->sender_sequence.type, SENDER_SEQUENCE_U16BE);
	assert_int_equal(c->sender_sequence.at, 12);
	conf_free(conf);
}

/* It is nothing of the schema that files get. */
static void
test_byte_order_mark(void **state ATTR_UNUSED)
{
	char text[sizeof(accel) + 3] = "\xef\xbb\xbf";
	struct conf *conf;

	memcpy(text + 3, accel, sizeof(accel));
	support_write("marked.avsc", text, strlen(text));
	conf = support_good("channels: [{name: one, listen: {address: "
	    "127.0.0.1, port: 1}, payload: {format: avro, schema: "
	    "marked.avsc}}]\n");
	assert_string_equal(conf_channel(conf, "one")->schema_text, accel);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_byte_order_mark),
	};

	return cmocka_run_group_tests(tests, setup, support_teardown);
}
