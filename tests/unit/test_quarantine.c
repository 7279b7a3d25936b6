/* SPDX-License-Identifier: ISC */
/*
 * Workers that end by what they archive: when they look at a datagram, when the
 * packer compresses it, when it is written; alone or in a message of several.
 * What ends two is left out of the archive, and nothing else is.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <netinet/udp.h>
#include <dlfcn.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/codec.h"
#include "common/udp.h"
#include "common/util.h"
#include "schema/schema.h"
#include "tests/unit/rig.h"
#include "worker/archive/quarantine.h"

#define WAIT_NS		(60 * NS_PER_S)
/* A datum: a string of 100 bytes, after its length. */
#define TEXT		100
#define DATUM		(TEXT + 2)
#define DATUMS		10U

/* What is in a datum that ends a worker when... */
#define LOOKED_AT	"LOOK"		/* its datagram is looked at */
#define PACKED		"PACK"		/* its block is compressed */
#define WRITTEN		"WRITE"		/* it goes to the archive of datums */
#define KEPT		"KEEP"		/* it goes to any file */

bool	__real_quarantine_has(const struct archive *archive,
	    const struct ring_view *view, uint32_t i);
bool	__wrap_quarantine_has(const struct archive *archive,
	    const struct ring_view *view, uint32_t i);
size_t	__real_codec_compress(struct codec *codec, const uint8_t *data,
	    size_t size, uint8_t *out, size_t room);
size_t	__wrap_codec_compress(struct codec *codec, const uint8_t *data,
	    size_t size, uint8_t *out, size_t room);

static bool
holds(const void *data, size_t size, const char *text)
{
	return memmem(data, size, text, strlen(text)) != NULL;
}

bool
__wrap_quarantine_has(const struct archive *archive,
    const struct ring_view *view, uint32_t i)
{
	if (__real_quarantine_has(archive, view, i))
		return true;
	if (holds(view->payload + i * DATUM, DATUM, LOOKED_AT))
		abort();
	return false;
}

/* What is rejected is kept with its source's address. */
size_t
__wrap_codec_compress(struct codec *codec, const uint8_t *data, size_t size,
    uint8_t *out, size_t room)
{
	if (holds(data, size, PACKED) && !holds(data, size, "127.0.0.1"))
		abort();
	return __real_codec_compress(codec, data, size, out, room);
}

/* Takes the place of the C library's. */
ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t) =
	    (__typeof__(real))dlsym(RTLD_NEXT, "pwritev");
	bool rejected = false, written = false;
	int i;

	for (i = 0; i < count; i++) {
		if (holds(iov[i].iov_base, iov[i].iov_len, KEPT))
			abort();
		rejected |= holds(iov[i].iov_base, iov[i].iov_len,
		    "127.0.0.1");
		written |= holds(iov[i].iov_base, iov[i].iov_len, WRITTEN);
	}
	if (written && !rejected)
		abort();
	return real(fd, iov, count, at);
}

struct scenario {
	const char		*name;
	enum archive_codec	 codec;
	bool			 together;	/* in one message */
	const char		*mark[DATUMS];	/* NULL: good */
	unsigned		 deaths;	/* at most; at least two */
	bool			 rejected[DATUMS];
	unsigned		 shed;
};

#define ALL	{true, true, true, true, true, true, true, true, true, true}

/* One more for each than the rule says where who ended first may have had more
 * in hand. */
static const struct scenario scenarios[] = {
	{"looked at", CODEC_NULL, false, {[3] = LOOKED_AT, [4] = LOOKED_AT},
	    4, {[3] = true, [4] = true}, 0},
	{"looked at, in one message", CODEC_NULL, true,
	    {[3] = LOOKED_AT, [7] = LOOKED_AT},
	    4, {[3] = true, [7] = true}, 0},
	{"written", CODEC_NULL, false, {[3] = WRITTEN, [4] = WRITTEN},
	    6, {[3] = true, [4] = true}, 0},
	{"written, in one message", CODEC_NULL, true, {[3] = WRITTEN},
	    3, ALL, 0},
	{"packed", CODEC_DEFLATE, false, {[3] = PACKED, [4] = PACKED},
	    6, {[3] = true, [4] = true}, 0},
	{"packed, in one message", CODEC_DEFLATE, true, {[3] = PACKED},
	    3, ALL, 0},
	{"looked at, then written", CODEC_NULL, true,
	    {[3] = LOOKED_AT, [5] = WRITTEN}, 4, ALL, 0},
	{"looked at, then packed", CODEC_DEFLATE, true,
	    {[3] = LOOKED_AT, [5] = PACKED}, 4, ALL, 0},
	{"written anywhere", CODEC_NULL, false, {[3] = KEPT},
	    5, {false}, 1},
	{"looked at, then written anywhere", CODEC_NULL, true,
	    {[3] = LOOKED_AT, [5] = KEPT}, 6, {false}, DATUMS},
};

static void
fill(uint8_t *datum, const struct scenario *scenario, unsigned number)
{
	const char *mark = number < DATUMS ? scenario->mark[number] : NULL;
	char text[TEXT + 1];

	datum[0] = (2 * TEXT) % 128 | 128;
	datum[1] = (2 * TEXT) / 128;
	snprintf(text, sizeof(text), "%-*s", TEXT - 5,
	    mark != NULL ? mark : "good");
	snprintf(text + TEXT - 5, 6, "%5u", number);
	memcpy(datum + 2, text, TEXT);
}

/* They wait in the socket until there is a worker. */
static void
send_all(struct rig *rig, const struct scenario *scenario)
{
	uint8_t datums[DATUMS][DATUM];
	int segment = DATUM, none = 0;
	unsigned i;

	for (i = 0; i < DATUMS; i++)
		fill(datums[i], scenario, i);
	if (!scenario->together) {
		for (i = 0; i < DATUMS; i++)
			rig_send(rig, datums[i], DATUM);
		return;
	}
	assert_int_equal(setsockopt(rig->source, SOL_UDP, UDP_SEGMENT,
	    &segment, sizeof(segment)), 0);
	rig_send(rig, datums, sizeof(datums));
	assert_int_equal(setsockopt(rig->source, SOL_UDP, UDP_SEGMENT, &none,
	    sizeof(none)), 0);
}

/* True: the worker has ended, of itself. */
static bool
ended(struct rig *rig)
{
	siginfo_t info = {0};

	assert_int_equal(waitid(P_PID, (id_t)rig->pid, &info, WEXITED |
	    WNOHANG | WNOWAIT), 0);
	return info.si_pid == rig->pid;
}

static bool
stored(struct rig *rig, unsigned count)
{
	struct ledger ledger;

	assert_true(segment_ledger(&rig->segment, &ledger));
	return ledger.received == count && ledger.pending == 0 &&
	    ledger.relayed + ledger.relay_errors == count;
}

static void
start(struct rig *rig)
{
	int gate = rig_fork(rig);

	assert_int_equal(write(gate, "", 1), 1);
	close(gate);
}

/* Successors, until one stores all; how many have ended. */
static unsigned
live(struct rig *rig, unsigned count)
{
	uint64_t deadline = clock_monotonic_ns() + WAIT_NS;
	unsigned deaths = 0;
	int status;

	start(rig);
	while (!stored(rig, count)) {
		assert_true(clock_monotonic_ns() < deadline);
		if (!ended(rig)) {
			sched_yield();
			continue;
		}
		assert_int_equal(waitpid(rig->pid, &status, 0), rig->pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
		rig_forget(rig);
		deaths++;
		start(rig);
	}
	return deaths;
}

static void
note_rejected(void *argument, uint64_t sequence,
    const char *source ATTR_UNUSED, const uint8_t *payload, size_t size)
{
	bool *seen = argument;

	assert_true(sequence < DATUMS);
	assert_int_equal(size, DATUM);
	assert_int_equal(payload[DATUM - 1], '0' + (int)sequence);
	assert_false(seen[sequence]);
	seen[sequence] = true;
}

/* After those, others of which none is left out, and nobody ends. */
static void
run(const struct scenario *scenario, const struct schema_result *schema)
{
	struct segment_spec spec = {.schema = "\"string\"",
	    .program = schema->program, .program_size = schema->program_size,
	    .config.archive.codec = scenario->codec};
	unsigned deaths, i, rejected = 0;
	bool seen[DATUMS] = {false};
	struct ledger ledger;
	uint8_t good[DATUM];
	struct rig rig;

	rig_open(&rig, &spec);
	send_all(&rig, scenario);
	deaths = live(&rig, DATUMS);
	printf("%s: %u have ended\n", scenario->name, deaths);
	assert_in_range(deaths, 2, scenario->deaths);
	fill(good, scenario, DATUMS);
	rig_send(&rig, good, DATUM);
	rig_wait_received(&rig, DATUMS + 1);
	rig_wait_settled(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_check_ledger(&rig, DATUMS + 1);
	for (i = 0; i < DATUMS; i++)
		rejected += scenario->rejected[i];
	assert_true(segment_ledger(&rig.segment, &ledger));
	assert_int_equal(ledger.rejected, rejected);
	assert_int_equal(ledger.archive_shed, scenario->shed);
	rig_read_archive(&rig, ".rejected", note_rejected, seen);
	assert_memory_equal(seen, scenario->rejected, sizeof(seen));
	rig_close(&rig);
}

static void
test_scenarios(void **state ATTR_UNUSED)
{
	struct schema_result schema;
	size_t i;

	assert_true(schema_compile("\"string\"", strlen("\"string\""), NULL,
	    &schema));
	for (i = 0; i < NITEMS(scenarios); i++) {
		if (scenarios[i].together && !udp_sends_runs())
			printf("%s: there is no such message here\n",
			    scenarios[i].name);
		else if (codec_missing(scenarios[i].codec) != NULL)
			printf("%s: this build has no %s\n", scenarios[i].name,
			    codec_name(scenarios[i].codec));
		else
			run(&scenarios[i], &schema);
	}
	schema_result_free(&schema);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenarios),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
