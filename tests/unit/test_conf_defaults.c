/* SPDX-License-Identifier: ISC */
/*
 * Values that a channel does not give: where they come from, and how defaults
 * merge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/conf_support.h"

#define KIB(n)	((uint64_t)(n) << 10)
#define MIB(n)	((uint64_t)(n) << 20)
#define GIB(n)	((uint64_t)(n) << 30)

/*** Presets. ***/

static void
test_presets(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(
	    "channels: [{name: a, listen: {port: 5000}}]\n");
	const struct channel_conf *c = conf->channel;

	assert_string_equal(conf->file, support_path("c.yaml"));
	assert_null(conf->user);
	assert_string_equal(conf->run_dir, RUNSTATEDIR "/mcrelay");
	assert_int_equal(conf->log_target, LOG_TARGET_SYSLOG);
	assert_int_equal(conf->log_level, LOG_INFO);
	assert_int_equal(conf->decimators, 1);
	assert_int_equal(conf->web.address.ss_family, AF_UNSPEC);
	assert_false(conf->forward.wanted);
	assert_int_equal(conf->forward.processes, 1);
	assert_int_equal(conf_forwarders(conf), 0);
	assert_false(c->forward);
	assert_int_equal(conf->channels, 1);
	assert_string_equal(c->name, "a");
	assert_int_equal(c->line, 1);
	support_assert_address(&c->listen[0].address, "0.0.0.0:5000");
	assert_string_equal(c->listen[0].interface, "");
	assert_int_equal(c->listen[0].sources, 0);
	assert_int_equal(c->listen[0].receive_buffer, MIB(8));
	assert_int_equal(c->payload, PAYLOAD_RAW);
	assert_null(c->schema_file);
	assert_null(c->schema_text);
	assert_null(c->program);
	assert_int_equal(c->relays, 0);
	assert_false(c->archive.enabled);
	assert_int_equal(c->decimates, 0);
	assert_int_equal(c->ring_size, MIB(8));
	assert_int_equal(c->stale_after_ns, 10 * NS_PER_S);
	conf_free(conf);
}

/* Channels that others have are in nobody's way, and those for all are here;
 * what archives a stream goes where its channel goes. */
static void
test_hosts(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("host: mine\n"
	    "defaults: {hosts: [mine, other]}\n"
	    "channels:\n"
	    "- {name: a, listen: {port: 5000}}\n"
	    "- {name: b, hosts: [other], listen: {port: 5000}, "
	    "archive: {directory: /a}, decimate: [{name: v, method: pick, "
	    "every: 9, address: 239.1.1.2, port: 3, archive: true}]}\n"
	    "- {name: c, hosts: [other, mine], standby: cold, "
	    "listen: {port: 5001}}\n");

	assert_string_equal(conf->host, "mine");
	assert_int_equal(conf->channels, 2);
	assert_string_equal(conf->channel[0].name, "a");
	assert_int_equal(conf->channel[0].hosts, 2);
	assert_string_equal(conf->channel[0].host[0], "mine");
	assert_false(conf->channel[0].cold);
	assert_string_equal(conf->channel[1].name, "c");
	assert_true(conf->channel[1].cold);
	assert_string_equal(conf->channel[1].host[0], "other");
	conf_free(conf);
}

#ifdef HAVE_NATS
static void
test_forward(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("host: h\n"
	    "forward: {servers: [\"nats://s:4222\"]}\n"
	    "defaults: {forward: true, archive: {directory: /a}}\n"
	    "channels: [{name: a, listen: {port: 5000}}]\n");
	const struct forward_conf *forward = &conf->forward;
	char *stream = conf_forward_name(forward->stream, conf->host, "a");
	char *subject = conf_forward_name(forward->subject, conf->host,
	    "a");

	assert_true(conf->channel[0].forward);
	assert_int_equal(conf_forwarders(conf), 1);
	assert_int_equal(forward->servers, 1);
	assert_string_equal(forward->server[0], "nats://s:4222");
	assert_string_equal(stream, "mcrelay-a");
	assert_string_equal(subject, "mcrelay.h.a");
	assert_int_equal(forward->replicas, 1);
	assert_false(forward->live);
	assert_int_equal(forward->age_ns, 0);
	assert_int_equal(forward->size, 0);
	assert_int_equal(forward->messages, 0);
	assert_false(forward->tls);
	assert_null(forward->credentials);
	free(stream);
	free(subject);
	conf_free(conf);
}

/* Streams are shown also where no archive is forwarded. */
static void
test_forward_live(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("host: h\n"
	    "forward: {servers: [\"nats://s\"], live: true}\n"
	    "channels: [{name: a, listen: {port: 5000}}]\n");

	assert_true(conf->forward.live);
	assert_int_equal(conf_forwarders(conf), 1);
	conf_free(conf);
}
#endif

static void
test_nested_presets(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("channels:\n"
	    "- name: a\n"
	    "  listen: {port: 5000}\n"
	    "  relay:\n"
	    "  - {address: 239.1.1.1, port: 1}\n"
	    "  - {address: 10.99.0.1, port: 2}\n"
	    "  archive: {directory: /a}\n"
	    "  decimate:\n"
	    "  - {name: v, method: pick, every: 9, address: 239.1.1.2, "
	    "port: 3}\n");
	const struct channel_conf *c = conf->channel;

	assert_string_equal(c->relay[0].interface, "");
	assert_int_equal(c->relay[0].ttl, 1);
	assert_true(c->relay[0].loop);
	/* A unicast output is not held on the first link. */
	assert_int_equal(c->relay[1].ttl, 64);
	assert_true(c->archive.enabled);
	assert_int_equal(c->archive.codec, CODEC_NULL);
	assert_int_equal(c->archive.block_size, KIB(256));
	assert_int_equal(c->archive.flush_interval_ns, NS_PER_S);
	assert_int_equal(c->archive.sync, SYNC_INTERVAL);
	assert_int_equal(c->archive.write, WRITE_BUFFERED);
	assert_int_equal(c->archive.rotate_size, GIB(1));
	assert_int_equal(c->archive.rotate_interval_ns, 3600 * NS_PER_S);
	assert_int_equal(c->archive.retain_age_ns, 0);
	assert_int_equal(c->archive.retain_size, 0);
	assert_int_equal(c->archive.retain_files, 0);
	assert_int_equal(c->archive.min_free, 0);
	assert_int_equal(c->archive.recycle, 0);
	assert_int_equal(c->archive.on_overrun, OVERRUN_SHED);
	assert_false(c->archive.envelope);
	assert_int_equal(c->decimate[0].to.ttl, 1);
	assert_true(c->decimate[0].to.loop);
	conf_free(conf);
}

/*** Defaults. ***/

static const char merged[] =
    "defaults:\n"
    "  listen: {port: 4000, interface: lo, sources: [10.0.0.0/8]}\n"
    "  payload: {format: avro, schema: accel.avsc}\n"
    "  relay:\n"
    "  - {address: 239.1.1.1, port: 1}\n"
    "  - {address: 239.1.1.2, port: 2}\n"
    "  archive:\n"
    "    directory: /d\n"
    "    block_size: 64KiB\n"
    "    rotate: {size: 1MiB, interval: 5m}\n"
    "  ring_size: 1MiB\n"
    "  stale_after: 3s\n"
    "channels:\n"
    "- name: all\n"
    "- name: some\n"
    "  listen: {port: 4001, sources: []}\n"
    "  payload: {format: raw}\n"
    "  relay: [{address: 239.1.1.3, port: 3}]\n"
    "  archive: {sync: none, rotate: {size: 2MiB}}\n"
    "  ring_size: 2MiB\n"
    "- name: none\n"
    "  listen: {port: 4002}\n"
    "  archive: none\n";

static void
test_defaults(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(merged);
	const struct channel_conf *c = conf_channel(conf, "all");

	support_assert_address(&c->listen[0].address, "0.0.0.0:4000");
	assert_string_equal(c->listen[0].interface, "lo");
	assert_int_equal(c->listen[0].sources, 1);
	assert_int_equal(c->payload, PAYLOAD_AVRO);
	assert_string_equal(c->schema_text, support_accel);
	assert_int_equal(c->relays, 2);
	assert_string_equal(c->archive.directory, "/d");
	assert_int_equal(c->archive.block_size, KIB(64));
	assert_int_equal(c->archive.rotate_size, MIB(1));
	assert_int_equal(c->archive.rotate_interval_ns, 300 * NS_PER_S);
	assert_int_equal(c->ring_size, MIB(1));
	assert_int_equal(c->stale_after_ns, 3 * NS_PER_S);
	conf_free(conf);
}

static void
test_defaults_merge(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(merged);
	const struct channel_conf *c = conf_channel(conf, "some");

	support_assert_address(&c->listen[0].address, "0.0.0.0:4001");
	assert_string_equal(c->listen[0].interface, "lo");
	assert_int_equal(c->listen[0].sources, 0);
	assert_int_equal(c->payload, PAYLOAD_RAW);
	assert_null(c->schema_file);
	assert_int_equal(c->relays, 1);
	support_assert_address(&c->relay[0].address, "239.1.1.3:3");
	assert_string_equal(c->archive.directory, "/d");
	assert_int_equal(c->archive.block_size, KIB(64));
	assert_int_equal(c->archive.sync, SYNC_NONE);
	assert_int_equal(c->archive.rotate_size, MIB(2));
	assert_int_equal(c->archive.rotate_interval_ns, 300 * NS_PER_S);
	assert_int_equal(c->ring_size, MIB(2));
	assert_int_equal(c->stale_after_ns, 3 * NS_PER_S);
	assert_false(conf_channel(conf, "none")->archive.enabled);
	conf_free(conf);
}

/* What an item does not say is in the mapping among the defaults. */
static void
test_inputs(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(
	    "defaults:\n"
	    "  listen: {port: 4000, interface: lo, sources: [10.0.0.1],\n"
	    "    receive_buffer: 1MiB, coalesce: 0}\n"
	    "channels:\n"
	    "- name: a\n"
	    "  listen:\n"
	    "  - {address: 239.192.0.1, receive_buffer: 2MiB}\n"
	    "  - {address: 127.0.0.1, sources: [], busy_poll: 5us}\n"
	    "  - {port: 4001, coalesce: auto, share: true}\n"
	    "  relay: [{address: 127.0.0.1, port: 1}]\n");
	const struct channel_conf *c = &conf->channel[0];

	assert_int_equal(c->inputs, 3);
	support_assert_address(&c->listen[0].address, "239.192.0.1:4000");
	support_assert_address(&c->listen[1].address, "127.0.0.1:4000");
	support_assert_address(&c->listen[2].address, "0.0.0.0:4001");
	assert_string_equal(c->listen[2].interface, "lo");
	assert_int_equal(c->listen[0].sources, 1);
	assert_int_equal(c->listen[1].sources, 0);
	assert_int_equal(c->listen[0].receive_buffer, 2 << 20);
	assert_int_equal(c->listen[1].receive_buffer, 1 << 20);
	assert_int_equal(c->listen[1].coalesce_ns, 0);
	assert_int_equal(c->listen[1].busy_poll_ns, 5000);
	assert_true(c->listen[2].coalesce_ns == COALESCE_AUTO);
	assert_true(c->listen[2].share);
	conf_free(conf);
	/* Kept apart by their interfaces. */
	conf = support_good("channels:\n"
	    "- name: a\n"
	    "  listen:\n"
	    "  - {address: 239.192.0.1, port: 1, interface: lo}\n"
	    "  - {address: 239.192.0.1, port: 1, interface: nosuch0}\n"
	    "  - {port: 2, interface: lo}\n"
	    "  - {port: 2, interface: nosuch0}\n");
	assert_int_equal(conf->channel[0].inputs, 4);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_presets),
		cmocka_unit_test(test_hosts),
#ifdef HAVE_NATS
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_forward_live),
#endif
		cmocka_unit_test(test_nested_presets),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_merge),
		cmocka_unit_test(test_inputs),
	};

	return cmocka_run_group_tests(tests, support_setup_accel,
	    support_teardown);
}
