/* SPDX-License-Identifier: ISC */
/*
 * What a change of a channel's configuration asks for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/compiler.h"
#include "tests/unit/conf_support.h"

static const char accel[] = "{\"type\": \"record\", \"name\": \"Accel\", "
    "\"fields\": [{\"name\": \"time\", \"type\": \"long\"}, "
    "{\"name\": \"x\", \"type\": \"double\"}]}";

#define HEAD	"log: {to: stderr, level: info}\nchannels:\n- name: a\n"
#define IN	"  listen: {address: 127.0.0.1, port: 5000, " \
		"sources: [10.0.0.1, 10.1.0.0/16]}\n"
#define PAY	"  payload: {format: avro, schema: accel.avsc}\n"
#define OUT	"  relay: [{address: 239.1.1.1, port: 1, ttl: 2}]\n"
#define ARC	"  archive: {directory: /a, flush_interval: 2s}\n"
#define DEC	"  decimate: [{name: v, method: mean, every: 5, " \
		"address: 239.1.1.2, port: 2}]\n"

/* Compared with the first. */
static const struct {
	const char		*text;
	enum conf_change	 change;
} cases[] = {
	{ HEAD IN PAY OUT ARC DEC, CHANGE_NONE },
	/* Written differently, or said aloud what holds anyway. */
	{ "user: root\nrun_dir: /elsewhere\ndecimators: 0\n"
	    HEAD IN PAY OUT ARC DEC, CHANGE_NONE },
	{ HEAD IN PAY OUT ARC DEC "  ring_size: 8192KiB\n",
	    CHANGE_NONE },
	{ HEAD IN "  payload: {format: avro, schema: copy.avsc}\n"
	    OUT ARC DEC, CHANGE_NONE },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1/32, 10.1.0.0/16]}\n" PAY OUT ARC DEC,
	    CHANGE_NONE },
	/* Workers are told. */
	{ "log: {to: stderr, level: debug}\nchannels:\n- name: a\n"
	    IN PAY OUT ARC DEC, CHANGE_NONE },
	/* Decimated streams. */
	{ HEAD IN PAY OUT ARC, CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: rms, "
	    "every: 5, address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: mean, "
	    "every: 6, address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: w, method: mean, "
	    "every: 5, address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: mean, "
	    "every: 5, address: 239.1.1.2, port: 3}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: mean, "
	    "interval: 5ms, address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: mean, "
	    "every: 5, shape: summary, address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: mean, "
	    "every: 5, only: [time], address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC "  decimate: [{name: v, method: mean, "
	    "every: 5, archive: true, address: 239.1.1.2, port: 2}]\n",
	    CHANGE_STREAMS },
	{ HEAD IN PAY OUT ARC DEC "  stale_after: 1s\n",
	    CHANGE_STREAMS },
	/* The worker. */
	{ "channels:\n- name: a\n" IN PAY OUT ARC DEC,
	    CHANGE_WORKER },
	{ HEAD IN PAY ARC DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, flush_interval: 2s, "
	    "retain: {files: 9}}\n" DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, flush_interval: 2s, "
	    "min_free: 1GiB}\n" DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT ARC DEC "  cpu: 0\n", CHANGE_WORKER },
	{ HEAD IN PAY OUT ARC DEC "  priority: 1\n", CHANGE_WORKER },
	{ HEAD IN PAY OUT ARC DEC "  io_uring: {enabled: true}\n",
	    CHANGE_WORKER },
	{ HEAD IN PAY OUT ARC DEC "  io_uring: {fallback_on_error: true}\n",
	    CHANGE_NONE },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16], coalesce: 0}\n" PAY OUT ARC DEC,
	    CHANGE_SOCKET },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16], busy_poll: 50us}\n" PAY OUT ARC DEC,
	    CHANGE_SOCKET },
	{ HEAD "  listen:\n"
	    "  - {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16]}\n" PAY OUT ARC DEC, CHANGE_NONE },
	{ HEAD "  listen:\n"
	    "  - {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16]}\n"
	    "  - {port: 5001}\n" PAY OUT ARC DEC, CHANGE_SOCKET },
	{ HEAD IN PAY "  relay: [{address: 239.1.1.1, port: 1}]\n"
	    ARC DEC, CHANGE_WORKER },
	{ HEAD IN PAY "  relay: [{address: 239.1.1.1, port: 1, "
	    "ttl: 2, loop: false}]\n" ARC DEC, CHANGE_WORKER },
	{ HEAD IN PAY "  relay: [{address: 239.1.1.1, port: 1, "
	    "ttl: 2, interface: lo}]\n" ARC DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /b, "
	    "flush_interval: 2s}\n" DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a}\n" DEC,
	    CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, block_size: 4KiB}\n" DEC,
	    CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, sync: none}\n" DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, write: direct}\n" DEC, CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, rotate: {size: 0}}\n" DEC,
	    CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, rotate: {interval: 0}}\n" DEC,
	    CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, on_overrun: block}\n" DEC,
	    CHANGE_WORKER },
	{ HEAD IN PAY OUT "  archive: {directory: /a, "
	    "flush_interval: 2s, envelope: true}\n" DEC,
	    CHANGE_WORKER },
	{ HEAD IN "  payload: {format: avro, schema: other.avsc}\n"
	    OUT ARC DEC, CHANGE_WORKER },
	{ HEAD IN "  payload: {format: avro, schema: accel.avsc, "
	    "time_field: time}\n" OUT ARC DEC, CHANGE_WORKER },
	{ HEAD IN "  payload: {format: avro, schema: accel.avsc, "
	    "framing: single-object}\n" OUT ARC DEC, CHANGE_WORKER },
	{ HEAD IN "  payload: {format: avro, schema: accel.avsc, "
	    "sequence: {field: time}}\n" OUT ARC DEC, CHANGE_WORKER },
	{ HEAD IN OUT ARC, CHANGE_WORKER },
	{ HEAD IN PAY OUT ARC DEC "  ring_size: 4MiB\n",
	    CHANGE_WORKER },
	/* The input socket. */
	{ HEAD "  listen: {address: 127.0.0.1, port: 5001, sources: "
	    "[10.0.0.1, 10.1.0.0/16]}\n" PAY OUT ARC DEC,
	    CHANGE_SOCKET },
	{ HEAD "  listen: {address: 127.0.0.2, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16]}\n" PAY OUT ARC DEC,
	    CHANGE_SOCKET },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.2.0.0/16]}\n" PAY OUT ARC DEC,
	    CHANGE_SOCKET },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1]}\n" PAY OUT ARC DEC, CHANGE_SOCKET },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16], interface: lo}\n" PAY OUT ARC
	    DEC, CHANGE_SOCKET },
	{ HEAD "  listen: {address: 127.0.0.1, port: 5000, sources: "
	    "[10.0.0.1, 10.1.0.0/16], receive_buffer: 4MiB}\n" PAY
	    OUT ARC DEC, CHANGE_SOCKET },
	{ HEAD "  listen: {address: \"::1\", port: 5000}\n" PAY OUT
	    ARC DEC, CHANGE_SOCKET },
	/* The largest counts. */
	{ HEAD "  listen: {port: 5000}\n", CHANGE_SOCKET },
};

static void
test_compare(void **state ATTR_UNUSED)
{
	struct conf *old_conf, *new_conf;
	size_t i;

	support_write("accel.avsc", accel, strlen(accel));
	support_write("copy.avsc", accel, strlen(accel));
	support_write("other.avsc", "[\"null\", \"long\"]", 16);
	old_conf = support_good(cases[0].text);
	for (i = 0; i < NITEMS(cases); i++) {
		new_conf = support_good(cases[i].text);
		if (conf_compare(old_conf, old_conf->channel, new_conf,
		    new_conf->channel) != cases[i].change)
			fail_msg("case %zu:\n%s", i, cases[i].text);
		conf_free(new_conf);
	}
	conf_free(old_conf);
}

/* The file is the same, what it names is not. */
static void
test_compare_schema(void **state ATTR_UNUSED)
{
	struct conf *old_conf, *new_conf;
	static const char text[] =
	    HEAD IN "  payload: {format: avro, schema: s.avsc}\n";

	support_write("s.avsc", "\"long\"", 6);
	old_conf = support_good(text);
	new_conf = support_good(text);
	assert_int_equal(conf_compare(old_conf, old_conf->channel, new_conf,
	    new_conf->channel), CHANGE_NONE);
	conf_free(new_conf);
	support_write("s.avsc", "\"int\"", 5);
	new_conf = support_good(text);
	assert_int_equal(conf_compare(old_conf, old_conf->channel, new_conf,
	    new_conf->channel), CHANGE_WORKER);
	conf_free(new_conf);
	conf_free(old_conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_compare_schema),
	};

	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
