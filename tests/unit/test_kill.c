/* SPDX-License-Identifier: ISC */
/*
 * Workers that are killed at random under load: nothing lost, nothing twice,
 * neither in the archive nor on the relay.  The archive is in charge
 * (on_overrun: block), so that a busy machine cannot make it shed.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/codec.h"
#include "common/util.h"
#include "tests/unit/load.h"

/* How many workers are killed, one after the other: with a sanitizer, which has
 * each of them begin slowly, some. */
#ifdef SANITIZED
#define LIVES	24U
#else
#define LIVES	100U
#endif

/* SIGKILL at random instants; each successor takes over what was in hand. */
static void
test_kill(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.config.archive.on_overrun = OVERRUN_BLOCK};
	uint64_t random = 1;
	struct load load;
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	load_start(&load, &rig);
	for (i = 0; i < 2 * LIVES; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		load_pause((random >> 33) % (4 * NS_PER_MS));
		rig_kill(&rig);
		rig_start(&rig);
	}
	load_finish(&load);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

/* The same with two inputs: each datagram is taken over as of its own. */
static void
test_kill_with_two_inputs(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.inputs = 2,
	    .config.archive.on_overrun = OVERRUN_BLOCK};
	uint64_t random = 13;
	struct load load;
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	load_start(&load, &rig);
	for (i = 0; i < 2 * LIVES; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		load_pause((random >> 33) % (4 * NS_PER_MS));
		rig_kill(&rig);
		rig_start(&rig);
	}
	load_finish(&load);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

/* The same with small files and blocks, so that kills hit file changes.  Where
 * a busy machine lets a worker do little, as many again live twice as long.
 */
static void
test_kill_while_rotating(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = 4 << 20, .config.archive = {
	    .on_overrun = OVERRUN_BLOCK, .block_size = 4096,
	    .rotate_size = 200000,
	    .flush_interval_ns = NS_PER_MS, .sync = SYNC_BLOCK}};
	uint64_t random = 7;
	struct load load;
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	load_start(&load, &rig);
	for (i = 0; i < LIVES || (rig_count_files(&rig, ".avro") <= 10 &&
	    i < 10 * LIVES); i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		load_pause((random >> 33) % (8 * NS_PER_MS << i / LIVES));
		rig_kill(&rig);
		rig_start(&rig);
	}
	load_finish(&load);
	rig_check_catalog(&rig);
	assert_true(rig_count_files(&rig, ".avro") > 10);
	rig_close(&rig);
}

/* In another way than buffered: with large blocks, several of them when it is
 * behind.  What an ordinary user's processes register counts together, and may
 * be too much for the tests that run at once. */
static void
kill_while_writing(enum archive_write how, bool uring)
{
	struct segment_spec spec = {.config.uring = {.enabled = uring,
	    .queue_depth = 128, .sq_thread_cpu = -1,
	    .use_registered_buffers = uring && geteuid() == 0},
	    .config.archive = {
	    .on_overrun = OVERRUN_BLOCK, .write = how,
	    .sync = uring ? SYNC_BLOCK : SYNC_NONE,
	    .block_size = 100000, .rotate_size = 2000000,
	    .flush_interval_ns = NS_PER_S}};
	uint64_t random = 5;
	struct load load;
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	load_start(&load, &rig);
	for (i = 0; i < LIVES; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		load_pause((random >> 33) % (16 * NS_PER_MS));
		rig_kill(&rig);
		rig_start(&rig);
	}
	rig_wait_way(&rig, how, uring);
	load_finish(&load);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

static void
test_kill_while_writing_directly(void **state ATTR_UNUSED)
{
	kill_while_writing(WRITE_DIRECT, false);
}

static void
test_kill_while_mapping(void **state ATTR_UNUSED)
{
	kill_while_writing(WRITE_MMAP, false);
}

#ifdef HAVE_URING
static void
test_kill_with_writes_in_flight(void **state ATTR_UNUSED)
{
	kill_while_writing(WRITE_DIRECT, true);
}

static void
test_kill_with_buffered_writes_in_flight(void **state ATTR_UNUSED)
{
	kill_while_writing(WRITE_BUFFERED, true);
}
#endif

/* With blocks that were being compressed meanwhile. */
static void
test_kill_while_packing(void **state ATTR_UNUSED)
{
	static const enum archive_codec codecs[] = {CODEC_DEFLATE,
	    CODEC_SNAPPY};
	struct segment_spec spec = {.ring_size = 4 << 20, .config.archive = {
	    .on_overrun = OVERRUN_BLOCK,
	    .rotate_size = 200000, .flush_interval_ns = NS_PER_MS}};
	uint64_t random = 3;
	struct load load;
	struct rig rig;
	unsigned i, k;

	for (k = 0; k < NITEMS(codecs); k++) {
		if (codec_missing(codecs[k]) != NULL)
			continue;
		spec.config.archive.codec = codecs[k];
		rig_open(&rig, &spec);
		rig_start(&rig);
		load_start(&load, &rig);
		for (i = 0; i < 60; i++) {
			random = random * 6364136223846793005u +
			    1442695040888963407u;
			load_pause((random >> 33) % (8 * NS_PER_MS));
			rig_kill(&rig);
			rig_start(&rig);
		}
		load_finish(&load);
		rig_check_catalog(&rig);
		rig_close(&rig);
	}
}

/* TERM under load: the files are finished, the successor goes on. */
static void
test_roll(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.config.archive.on_overrun = OVERRUN_BLOCK};
	struct load load;
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	load_start(&load, &rig);
	for (i = 0; i < 20; i++) {
		load_pause(5 * NS_PER_MS);
		assert_int_equal(rig_stop(&rig, SIGTERM), 0);
		assert_int_equal(rig_count_files(&rig, ".part"), 0);
		rig_start(&rig);
	}
	load_finish(&load);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

/*
 * Archive and relay are paused and resumed meanwhile, by themselves and
 * together: each datagram is there once, or counted as one that came then.
 */
static void
test_kill_while_pausing(void **state ATTR_UNUSED)
{
	struct segment_spec spec = {.ring_size = 4 << 20, .config.archive = {
	    .on_overrun = OVERRUN_BLOCK, .block_size = 4096,
	    .rotate_size = 200000, .flush_interval_ns = NS_PER_MS}};
	uint64_t random = 11;
	struct load load;
	struct rig rig;
	unsigned i;

	rig_open(&rig, &spec);
	rig_start(&rig);
	load_start(&load, &rig);
	load.pauses = true;
	for (i = 0; i < 400; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		load_pause((random >> 33) % (3 * NS_PER_MS));
		atomic_store(&rig.segment.state->paused,
		    (uint32_t)(random >> 24) &
		    (RING_NO_ARCHIVE | RING_NO_RELAY));
		if (i % 2 == 0)
			continue;
		rig_kill(&rig);
		rig_start(&rig);
	}
	atomic_store(&rig.segment.state->paused, 0);
	load_finish(&load);
	assert_true(load.relay[0].missing > 0);
	assert_true(load.archive[0].missing > 0);
	rig_check_catalog(&rig);
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_kill_with_two_inputs),
		cmocka_unit_test(test_kill_while_rotating),
		cmocka_unit_test(test_kill_while_writing_directly),
		cmocka_unit_test(test_kill_while_mapping),
#ifdef HAVE_URING
		cmocka_unit_test(test_kill_with_writes_in_flight),
		cmocka_unit_test(test_kill_with_buffered_writes_in_flight),
#endif
		cmocka_unit_test(test_kill_while_packing),
		cmocka_unit_test(test_roll),
		cmocka_unit_test(test_kill_while_pausing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
