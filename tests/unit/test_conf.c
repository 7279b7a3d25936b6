/* SPDX-License-Identifier: ISC */
/*
 * Configurations that are right: every value that can be given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/syscall.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/conf_support.h"

#define KIB(n)	((uint64_t)(n) << 10)
#define MIB(n)	((uint64_t)(n) << 20)
#define GIB(n)	((uint64_t)(n) << 30)

static void
assert_source(const struct source_prefix *prefix, const char *address,
    unsigned bits)
{
	char text[INET6_ADDRSTRLEN];

	assert_non_null(inet_ntop(AF_INET6, prefix->address, text,
	    sizeof(text)));
	assert_string_equal(text, address);
	assert_int_equal(prefix->bits, bits);
}

/*** Values. ***/

static const char full[] =
    "user: root\n"
    "run_dir: run\n"
    "log: {to: stderr, level: debug}\n"
    "decimators: 0\n"
    "memory: 1GiB\n"
    "channels:\n"
    "  - name: accel-1_x\n"
    "    listen:\n"
    "      address: \"ff15::1234\"\n"
    "      port: 65535\n"
    "      interface: lo\n"
    "      sources: [\"fd00::/8\", \"fe80::1\"]\n"
    "      receive_buffer: 64MiB\n"
    "      coalesce: auto\n"
    "      busy_poll: 50us\n"
    "      share: true\n"
    "      segmentation: off\n"
    "    payload: {format: avro, schema: accel.avsc, time_field: time,\n"
    "              framing: none}\n"
    "    relay:\n"
    "      - {address: 239.192.0.1, port: 26001, interface: lo, ttl: 8,\n"
    "         loop: false}\n"
    "      - {address: \"ff15::1\", port: 26002, ttl: 0, loop: true,\n"
    "         source_port: 26009, segmentation: auto}\n"
    "      - {address: 10.99.0.1, port: 26003, ttl: 3, dscp: af41,\n"
    "         source_address: 127.0.0.1, segmentation: off}\n"
    "      - {address: 255.255.255.255, port: 26004, broadcast: true,\n"
    "         dscp: 63}\n"
    "    archive:\n"
    "      directory: data\n"
    "      codec: \"null\"\n"
    "      block_size: 65536\n"
    "      flush_interval: 250ms\n"
    "      cpu: 3\n"
    "      sync: block\n"
    "      write: direct\n"
    "      rotate: {size: 2TiB, interval: 1d}\n"
    "      retain: {age: 7d, size: 100GiB, files: 1000}\n"
    "      min_free: 1GiB\n"
    "      recycle: true\n"
    "      recycle_files: 3\n"
    "      on_overrun: block\n"
    "      envelope: true\n"
    "    decimate:\n"
    "      - {name: p, method: pick, every: 1, address: 239.192.0.2,\n"
    "         port: 1}\n"
    "      - {name: m, method: mean, every: 50, shape: same,\n"
    "         address: 239.192.0.2, port: 2, interface: lo, ttl: 9,\n"
    "         loop: false}\n"
    "      - {name: x, method: minmax, every: 1000000000,\n"
    "         address: 239.192.0.2, port: 3}\n"
    "      - {name: r, method: rms, every: 7, address: 239.192.0.2,\n"
    "         port: 4}\n"
    "    ring_size: 256KiB\n"
    "    stale_after: 2m\n"
    "    cpu: 0\n"
    "    priority: 20\n"
    "    io_uring: {enabled: true, queue_depth: 4096, use_sqpoll: true,\n"
    "      sq_thread_cpu: 1, fallback_on_error: false,\n"
    "      use_registered_buffers: true}\n"
    "  - name: raw\n"
    "    listen: {address: 127.0.0.1, port: 1, sources: [10.0.0.0/8,\n"
    "      192.168.1.1, 0.0.0.0/0], coalesce: 0}\n"
    "    payload: {format: raw}\n"
    "    relay: []\n"
    "    archive: {directory: /srv/a, codec: null, sync: none,\n"
    "      rotate: {size: 0, interval: 0}}\n"
    "    ring_size: auto\n"
    "    stale_after: 0\n"
    "    io_uring: {sq_thread_cpu: null}\n";

static void
check_full_listen(const struct channel_conf *c)
{
	const struct listen_config *listen = &c->listen[0];

	support_assert_address(&listen->address, "[ff15::1234]:65535");
	assert_string_equal(listen->interface, "lo");
	assert_int_equal(listen->sources, 2);
	assert_source(&listen->source[0], "fd00::", 8);
	assert_source(&listen->source[1], "fe80::1", 128);
	assert_int_equal(c->listen[0].receive_buffer, MIB(64));
	assert_int_equal(c->listen[0].coalesce_ns, COALESCE_AUTO);
	assert_int_equal(c->listen[0].busy_poll_ns, 50000);
	assert_true(listen->share);
	assert_true(listen->one_by_one);
}

static void
check_full_outputs(const struct channel_conf *c)
{
	assert_int_equal(c->relays, 4);
	support_assert_address(&c->relay[0].address, "239.192.0.1:26001");
	assert_string_equal(c->relay[0].interface, "lo");
	assert_int_equal(c->relay[0].ttl, 8);
	assert_false(c->relay[0].loop);
	support_assert_address(&c->relay[1].address, "[ff15::1]:26002");
	assert_string_equal(c->relay[1].interface, "");
	assert_int_equal(c->relay[1].ttl, 0);
	assert_true(c->relay[1].loop);
	support_assert_address(&c->relay[2].address, "10.99.0.1:26003");
	assert_int_equal(c->relay[2].ttl, 3);
	assert_int_equal(c->relay[0].source.ss_family, AF_UNSPEC);
	assert_int_equal(c->relay[0].dscp, 0);
	support_assert_address(&c->relay[1].source, "[::]:26009");
	assert_false(c->relay[1].one_by_one);
	support_assert_address(&c->relay[2].source, "127.0.0.1:0");
	assert_int_equal(c->relay[2].dscp, 34);
	assert_true(c->relay[2].one_by_one);
	assert_true(c->relay[3].broadcast);
	assert_int_equal(c->relay[3].dscp, 63);
}

static void
check_full_archive(const struct archive_config *archive)
{
	char directory[512];

	/* Static storage behind support_path(): keep a copy. */
	(void)snprintf(directory, sizeof(directory), "%s",
	    support_path("data"));
	assert_true(archive->enabled);
	assert_string_equal(archive->directory, directory);
	assert_int_equal(archive->codec, CODEC_NULL);
	assert_int_equal(archive->block_size, 65536);
	assert_int_equal(archive->flush_interval_ns, 250 * NS_PER_MS);
	assert_int_equal(archive->sync, SYNC_BLOCK);
	assert_int_equal(archive->write, WRITE_DIRECT);
	assert_int_equal(archive->rotate_size, GIB(2048));
	assert_int_equal(archive->rotate_interval_ns, 86400 * NS_PER_S);
	assert_int_equal(archive->retain_age_ns, 7 * 86400 * NS_PER_S);
	assert_int_equal(archive->retain_size, GIB(100));
	assert_int_equal(archive->retain_files, 1000);
	assert_int_equal(archive->min_free, GIB(1));
	assert_int_equal(archive->recycle, 3);
	assert_int_equal(archive->on_overrun, OVERRUN_BLOCK);
	assert_true(archive->envelope);
}

static void
check_full_streams(const struct channel_conf *c)
{
	static const struct {
		const char		*name;
		enum decimate_method	 method;
		uint64_t		 every;
		const char		*address;
	} expected[] = {
		{ "p", METHOD_PICK, 1, "239.192.0.2:1" },
		{ "m", METHOD_MEAN, 50, "239.192.0.2:2" },
		{ "x", METHOD_MINMAX, 1000000000, "239.192.0.2:3" },
		{ "r", METHOD_RMS, 7, "239.192.0.2:4" },
	};
	size_t i;

	assert_int_equal(c->decimates, NITEMS(expected));
	for (i = 0; i < NITEMS(expected); i++) {
		assert_string_equal(c->decimate[i].name, expected[i].name);
		assert_int_equal(c->decimate[i].method, expected[i].method);
		assert_int_equal(c->decimate[i].every, expected[i].every);
		support_assert_address(&c->decimate[i].to.address,
		    expected[i].address);
	}
	assert_string_equal(c->decimate[1].to.interface, "lo");
	assert_int_equal(c->decimate[1].to.ttl, 9);
	assert_false(c->decimate[1].to.loop);
}

/* Who is whom is chosen elsewhere. */
static void
test_user_range(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("channels:\n- name: a\n"
	    "  listen: {port: 5000}\nuser: {base: 64000, count: 20}\n");

	assert_null(conf->user);
	assert_int_equal(conf->user_base, 64000);
	assert_int_equal(conf->user_count, 20);
	assert_true(conf_own_users(conf));
	assert_true(conf->channel[0].own_user);
	assert_int_equal(conf->channel[0].user.uid, 0);
	conf_free(conf);
}

static void
test_full(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(full);
	const struct channel_conf *c = conf->channel;

	assert_string_equal(conf->user, "root");
	assert_false(conf_own_users(conf));
	assert_false(c->own_user);
	assert_string_equal(conf->run_dir, support_path("run"));
	assert_int_equal(conf->log_target, LOG_TARGET_STDERR);
	assert_int_equal(conf->log_level, LOG_DEBUG);
	assert_int_equal(conf->decimators, 0);
	assert_int_equal(conf->memory, GIB(1));
	assert_int_equal(conf->channels, 2);
	assert_string_equal(c->name, "accel-1_x");
	assert_int_equal(c->line, 7);
	check_full_listen(c);
	assert_int_equal(c->payload, PAYLOAD_AVRO);
	assert_string_equal(c->schema_file, support_path("accel.avsc"));
	assert_string_equal(c->schema_text, support_accel);
	assert_non_null(c->program);
	assert_true(c->program_size > 0);
	check_full_outputs(c);
	check_full_archive(&c->archive);
	check_full_streams(c);
	assert_int_equal(c->ring_size, KIB(256));
	assert_false(c->ring_auto);
	assert_true(conf->channel[1].ring_auto);
	assert_int_equal(c->stale_after_ns, 120 * NS_PER_S);
	assert_int_equal(c->run.cpu, 0);
	assert_int_equal(c->run.priority, 20);
	assert_memory_equal(&c->uring, (&(struct uring_config){
	    .enabled = 1, .queue_depth = 4096, .use_sqpoll = 1,
	    .sq_thread_cpu = 1, .use_registered_buffers = 1}),
	    sizeof(c->uring));
	assert_int_equal(c->archive.cpu, 3);
	conf_free(conf);
}

static void
test_full_second(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good(full);
	const struct channel_conf *c = conf_channel(conf, "raw");

	assert_ptr_equal(c, &conf->channel[1]);
	assert_null(conf_channel(conf, "other"));
	assert_int_equal(c->line, 61);
	support_assert_address(&c->listen[0].address, "127.0.0.1:1");
	assert_int_equal(c->listen[0].sources, 3);
	assert_source(&c->listen[0].source[0], "::ffff:10.0.0.0", 104);
	assert_source(&c->listen[0].source[1], "::ffff:192.168.1.1", 128);
	assert_source(&c->listen[0].source[2], "::ffff:0.0.0.0", 96);
	assert_int_equal(c->relays, 0);
	assert_string_equal(c->archive.directory, "/srv/a");
	assert_int_equal(c->archive.codec, CODEC_NULL);
	assert_int_equal(c->archive.sync, SYNC_NONE);
	assert_int_equal(c->archive.rotate_size, 0);
	assert_int_equal(c->archive.rotate_interval_ns, 0);
	assert_int_equal(c->stale_after_ns, 0);
	assert_int_equal(c->run.cpu, -1);
	assert_int_equal(c->run.priority, 0);
	assert_memory_equal(&c->uring, (&(struct uring_config){
	    .queue_depth = 128, .sq_thread_cpu = -1, .fallback_on_error = 1}),
	    sizeof(c->uring));
	assert_int_equal(c->archive.cpu, -1);
	assert_int_equal(c->listen[0].coalesce_ns, 0);
	conf_free(conf);
}

static void
test_units(void **state ATTR_UNUSED)
{
	static const struct {
		const char	*text;
		uint64_t	 ns;
	} times[] = {
		{ "100000000ns", 100 * NS_PER_MS },
		{ "100000us", 100 * NS_PER_MS },
		{ "100ms", 100 * NS_PER_MS },
		{ "7s", 7 * NS_PER_S },
		{ "3m", 180 * NS_PER_S },
		{ "2h", 7200 * NS_PER_S },
		{ "366d", 366 * 86400 * NS_PER_S },
		{ "0", 0 },
		{ "0s", 0 },
	};
	struct conf *conf;
	char *text;
	size_t i;

	for (i = 0; i < NITEMS(times); i++) {
		text = xasprintf("channels: [{name: a, listen: {port: 1}, "
		    "stale_after: %s}]\n", times[i].text);
		conf = support_good(text);
		assert_int_equal(conf->channel->stale_after_ns, times[i].ns);
		conf_free(conf);
		free(text);
	}
}

/* The preset makes room: a small ring has small blocks. */
static void
test_small_ring(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("channels: [{name: a, "
	    "listen: {port: 1}, ring_size: 512KiB, "
	    "archive: {directory: /a}}]\n");

	assert_int_equal(conf->channel->archive.block_size, KIB(128));
	conf_free(conf);
}

/* How the file is written is the writer's business. */
static void
test_forms(void **state ATTR_UNUSED)
{
	static const char *const texts[] = {
		"channels: [{name: a, listen: {port: 5000}}]",
		"%YAML 1.1\n---\nchannels:\n  - name: 'a'\n    listen:\n"
		    "      port: \"5000\"\n...\n",
		"channels:\r\n- name: a\r\n  listen:\r\n    port: 5000\r\n",
		"\xef\xbb\xbf{\"channels\": [{\"name\": \"a\", "
		    "\"listen\": {\"port\": 5000}}]}\n",
		"# gr\xc3\xbc\xc3\x9f\x65 \xf0\x9f\x93\xa1\nchannels:\n"
		    "- name:\ta\t# tabs between words\n  listen: {port: 5000}",
	};
	struct conf *conf;
	size_t i;

	for (i = 0; i < NITEMS(texts); i++) {
		conf = support_good(texts[i]);
		assert_string_equal(conf->channel->name, "a");
		support_assert_address(&conf->channel->listen[0].address,
		    "0.0.0.0:5000");
		conf_free(conf);
	}
}

/* Not loops, not shared, though they look alike. */
static void
test_neighbours(void **state ATTR_UNUSED)
{
	struct conf *conf = support_good("channels:\n"
	    "- name: wildcard\n"
	    "  listen: {port: 5000}\n"
	    /* The wildcard input joins no group. */
	    "  relay:\n"
	    "  - {address: 239.1.1.1, port: 5000}\n"
	    /* Not an address of this host; 192.0.2.0/24 is for examples. */
	    "  - {address: 192.0.2.1, port: 5000}\n"
	    "  - {address: 127.0.0.1, port: 5001}\n"
	    "  - {address: \"::1\", port: 5000}\n"
	    /* The same group on two links. */
	    "  - {address: 239.1.1.9, port: 1, interface: lo}\n"
	    "  - {address: 239.1.1.9, port: 1}\n"
	    /* Link-local, but nobody's. */
	    "  - {address: \"ff02::9:1\", port: 1, interface: lo}\n"
	    "- name: six\n"
	    "  listen: {address: \"::\", port: 6000}\n"
	    "  relay: [{address: 127.0.0.1, port: 6000}]\n"
	    "- name: group1\n"
	    "  listen: {address: 239.1.2.1, port: 7000}\n"
	    "- name: group2\n"
	    "  listen: {address: 239.1.2.2, port: 7000}\n"
	    "- name: one\n"
	    "  listen: {address: 127.0.0.2, port: 8000}\n"
	    "  relay: [{address: 127.0.0.3, port: 8000}]\n"
	    "- name: ssm\n"
	    "  listen: {address: 232.1.1.1, port: 1, sources: [10.0.0.1]}\n");

	assert_int_equal(conf->channels, 6);
	conf_free(conf);
}

/*** This host. ***/

/* Another user, who gets to the file all the same. */
static void
other_eyes(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	assert_return_code(seteuid(65534), errno);
	assert_return_code(syscall(SYS_capget, &header, data), errno);
	data[0].effective = data[0].permitted &
	    (UINT32_C(1) << CAP_DAC_READ_SEARCH);
	assert_return_code(syscall(SYS_capset, &header, data), errno);
}

static void
test_receive_buffer(void **state ATTR_UNUSED)
{
	static const char text[] = "channels:\n"
	    "- name: a\n"
	    "  listen: {port: 1, receive_buffer: 4KiB}\n"
	    "- name: b\n"
	    "  listen: {port: 2, receive_buffer: 1023MiB}\n";
	struct conf_problems problems = { 0 };
	struct conf *conf;
	char expected[512];

	support_write("c.yaml", text, strlen(text));
	(void)snprintf(expected, sizeof(expected),
	    "%s:5:37: a `receive_buffer' of 1072693248 bytes is more than "
	    "the kernel grants (", support_path("c.yaml"));
	/* Root may have more than the limit: look with other eyes. */
	if (geteuid() == 0)
		other_eyes();
	conf = conf_load(support_path("c.yaml"), &problems);
	if (getuid() == 0 && seteuid(0) == -1)
		fail_msg("seteuid");
	assert_non_null(conf);
	conf_free(conf);
	assert_int_equal(problems.errors, 0);
	assert_int_equal(problems.count, 1);
	assert_true(problems.list[0].warning);
	assert_ptr_equal(strstr(problems.list[0].text, expected),
	    problems.list[0].text);
	assert_non_null(strstr(problems.list[0].text,
	    "): as root, sysctl -w net.core.rmem_max=1072693248"));
	conf_problems_free(&problems);
}

/* A relative name of the file means a relative directory: from here. */
static void
test_relative_file(void **state ATTR_UNUSED)
{
	struct conf_problems problems = { 0 };
	char before[4096], expected[4096];
	struct conf *conf;

	support_write("c.yaml", full, strlen(full));
	(void)snprintf(expected, sizeof(expected), "%s",
	    support_path("accel.avsc"));
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(support_path(".")), 0);
	conf = conf_load("c.yaml", &problems);
	assert_int_equal(chdir(before), 0);
	assert_non_null(conf);
	assert_string_equal(conf->file, "c.yaml");
	assert_string_equal(conf->channel->schema_file, expected);
	conf_free(conf);
	conf_problems_free(&problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_range),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_second),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_small_ring),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_receive_buffer),
		cmocka_unit_test(test_relative_file),
	};

	return cmocka_run_group_tests(tests, support_setup_accel,
	    support_teardown);
}
