/* SPDX-License-Identifier: ISC */
/*
 * The segment: what a reader accepts, what it refuses, what it may write, and
 * what a successor goes on from.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

#include "common/inputs.h"
#include "common/memory.h"
#include "common/segment.h"

static const char	schema[] = "\"long\"";
static const uint64_t	program[3] = { 1, 2, 3 };

static void
make(struct segment *segment, uint64_t ring_size)
{
	struct segment_spec spec = {.ring_size = ring_size, .schema = schema,
	    .program = program, .program_size = sizeof(program)};
	bool locked;

	snprintf(spec.config.name, sizeof(spec.config.name), "test");
	spec.config.outputs = 2;
	spec.config.archive.enabled = 1;
	assert_int_equal(segment_create(segment, &spec, &locked), 0);
}

static void
test_attach(void **state ATTR_UNUSED)
{
	static const enum segment_access accesses[] = { SEGMENT_WORKER,
	    SEGMENT_SUPERVISOR, SEGMENT_DECIMATOR };
	struct segment segment, other;
	const char *why;
	unsigned i;

	make(&segment, RING_SIZE_MIN);
	for (i = 0; i < NITEMS(accesses); i++) {
		assert_int_equal(segment_attach(&other, segment.fd,
		    accesses[i], &why), 0);
		assert_string_equal(other.config->name, "test");
		assert_string_equal(other.schema, schema);
		assert_int_equal(other.schema_size, strlen(schema));
		assert_int_equal(other.program_size, sizeof(program));
		assert_memory_equal(other.program, program, sizeof(program));
		assert_int_equal(other.ring.size, RING_SIZE_MIN);
		/* The ring's second mapping is the first one again. */
		segment.ring.data[5] = (uint8_t)(77 + i);
		assert_int_equal(other.ring.data[RING_SIZE_MIN + 5], 77 + i);
		segment_close(&other);
	}
	segment_close(&segment);
}

/* A batch fits in half of the ring; small rings have small segments. */
static void
test_slots(void **state ATTR_UNUSED)
{
	struct segment segment;

	make(&segment, RING_SIZE_MIN);
	assert_int_equal(segment.rx_slots, 2);
	assert_true(segment.mapped - 2 * RING_SIZE_MIN <= 1 << 20);
	segment_close(&segment);
	make(&segment, 8 << 20);
	assert_int_equal(segment.rx_slots, RX_SLOTS_MAX);
	segment_close(&segment);
}

/* Whether a write of one byte at this address kills. */
static bool
write_kills(volatile uint8_t *address)
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*address = *address;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void
test_protection(void **state ATTR_UNUSED)
{
	struct segment segment, worker, reader;
	const char *why;

	make(&segment, RING_SIZE_MIN);
	assert_int_equal(segment_attach(&worker, segment.fd, SEGMENT_WORKER,
	    &why), 0);
	assert_int_equal(segment_attach(&reader, segment.fd, SEGMENT_DECIMATOR,
	    &why),
	    0);
	assert_true(write_kills(worker.base));
	assert_true(write_kills((uint8_t *)(uintptr_t)worker.config));
	assert_false(write_kills((uint8_t *)worker.state));
	assert_false(write_kills(worker.ring.data));
	assert_true(write_kills((uint8_t *)reader.state));
	assert_true(write_kills(reader.ring.data));
	assert_true(write_kills(reader.ring.data + reader.ring.size));
	assert_true(write_kills((uint8_t *)reader.rx));
	assert_false(write_kills((uint8_t *)reader.page));
	segment_close(&reader);
	segment_close(&worker);
	segment_close(&segment);
}

#ifdef HAVE_LINUX
static void
test_sealed(void **state ATTR_UNUSED)
{
	struct segment segment;

	make(&segment, RING_SIZE_MIN);
	assert_int_equal(ftruncate(segment.fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(segment.fd, 1 << 30), -1);
	segment_close(&segment);
}
#endif

static void
assert_refused(int fd, const char *reason)
{
	struct segment segment;
	const char *why;

	assert_int_equal(segment_attach(&segment, fd, SEGMENT_DECIMATOR, &why),
	    -1);
	assert_string_equal(why, reason);
}

static void
test_not_a_segment(void **state ATTR_UNUSED)
{
	static const char another[] = "not a segment of this version";
	static const char unlike[] =
#ifdef HAVE_LINUX
	    "not a memory file";
#else
	    "not a segment of this version";
#endif
	int fd = open("/dev/null", O_RDWR), pair[2];

	assert_refused(fd, unlike);
	close(fd);
	assert_int_equal(pipe(pair), 0);
	assert_refused(pair[0], unlike);
	fd = memory_open("test");
#ifdef HAVE_LINUX
	assert_refused(fd, "not sealed against shrinking");
#endif
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(memory_seal(fd, MEMORY_NO_SHRINK), 0);
	assert_refused(fd, another);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

/* Every word of the header spoilt, in several ways: refused, or harmless. */
static void
test_hostile_header(void **state ATTR_UNUSED)
{
	static const uint64_t values[] = { 0, 1, 4095, 4097, UINT32_MAX,
	    UINT64_MAX, UINT64_MAX - 4095, UINT64_C(1) << 63 };
	struct segment segment, other;
	const char *why;
	unsigned i, v;
	uint64_t *words, old;

	make(&segment, RING_SIZE_MIN);
	words = (uint64_t *)(void *)segment.base;
	for (i = 0; i < sizeof(struct segment_header) / 8; i++) {
		old = words[i];
		for (v = 0; v < NITEMS(values); v++) {
			words[i] = values[v];
			if (segment_attach(&other, segment.fd,
			    SEGMENT_DECIMATOR,
			    &why) == 0) {
				/* What was accepted can be read to its end. */
				(void)*(volatile uint8_t *)
				    (other.ring.data + 2 * other.ring.size - 1);
				segment_close(&other);
			}
		}
		words[i] = old;
	}
	segment_close(&segment);
}

static void
test_ledger(void **state ATTR_UNUSED)
{
	struct channel_counts counts;
	struct archive_state *archive;
	struct ingest_state *ingest;
	struct output_state *output;
	struct segment segment;
	unsigned i;

	make(&segment, RING_SIZE_MIN);
	ingest = ingest_begin(&segment.state->ingest);
	ingest->counts.received = ingest->sequence = 100;
	assert_true(segment_counts(&segment, &counts));
	assert_int_equal(counts.ledger.received, 0);	/* not committed */
	ingest_commit(&segment.state->ingest);
	archive = archive_begin(&segment.state->archive);
	archive->counts.archived = 60;
	archive->counts.rejected = 5;
	archive->counts.archive_shed = 4;
	archive->sequence = 69;
	archive_commit(&segment.state->archive);
	for (i = 0; i < 2; i++) {
		output = output_begin(&segment.state->output[i]);
		output->counts.relayed = 90 + i;
		output->counts.relay_errors = 10 - i;
		output_commit(&segment.state->output[i]);
	}
	assert_true(segment_counts(&segment, &counts));
	assert_int_equal(counts.ledger.received, 100);
	assert_int_equal(counts.ledger.pending, 31);
	assert_int_equal(counts.ledger.relayed, 181);
	assert_int_equal(counts.ledger.relay_errors, 19);
	assert_int_equal(counts.output[1].relayed, 91);
	segment_close(&segment);
}

/* A changed channel goes on counting; what its old ring lost is accounted. */
static void
test_predecessor(void **state ATTR_UNUSED)
{
	struct segment old, new_segment;
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .predecessor = &old};
	struct ingest_state *ingest;
	struct ledger ledger;
	bool locked;

	make(&old, RING_SIZE_MIN);
	ingest = inputs_begin(&old);
	ingest->counts.received = ingest->sequence = 10;
	inputs_of(&old, ingest)->drops_seen = 3;
	ingest->counts.kernel_dropped = 3;
	ingest_commit(&old.state->ingest);
	spec.config = *old.config;
	assert_int_equal(segment_create(&new_segment, &spec, &locked), 0);
	assert_true(segment_ledger(&new_segment, &ledger));
	assert_int_equal(new_segment.config->counted_from, 0);
	assert_int_equal(ledger.received, 10);
	assert_int_equal(ledger.archive_shed, 10);
	assert_int_equal(ledger.pending, 0);
	assert_int_equal(ledger.relay_errors, 20);
	assert_int_equal(ledger.kernel_dropped, 3);
	assert_int_equal(inputs_of(&new_segment, ingest_current(
	    &new_segment.state->ingest))->drops_seen, 3);
	segment_close(&new_segment);
	/* Another number of outputs: sums would not add up, so from zero. */
	spec.config.outputs = 1;
	assert_int_equal(segment_create(&new_segment, &spec, &locked), 0);
	assert_true(segment_ledger(&new_segment, &ledger));
	assert_int_equal(ledger.received + ledger.archive_shed +
	    ledger.relay_errors + ledger.pending, 0);
	assert_int_equal(ingest_current(&new_segment.state->ingest)->sequence,
	    10);
	assert_int_equal(new_segment.config->counted_from, 10);
	segment_close(&new_segment);
	segment_close(&old);
}

static struct listen_config
input(const char *address, uint16_t port, const char *interface)
{
	struct listen_config listen = {.sources = 0};
	struct sockaddr_in *in = (void *)&listen.address;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, address, &in->sin_addr), 1);
	snprintf(listen.interface, sizeof(listen.interface), "%s", interface);
	return listen;
}

/* Each input counts what it has brought; in another segment it is known again
 * by address, port and interface, wherever it stands there. */
static void
test_inputs(void **state ATTR_UNUSED)
{
	const struct listen_config before[] = {input("239.1.1.1", 5, "a"),
	    input("239.1.1.1", 5, "b"), input("127.0.0.1", 6, ""),
	    input("127.0.0.1", 7, "")};
	const struct listen_config after[] = {input("127.0.0.1", 8, ""),
	    input("127.0.0.1", 6, "lo"), input("239.1.1.1", 5, "b"),
	    input("239.1.1.1", 5, "c"), input("239.1.1.1", 5, "a")};
	static const uint64_t want[] = {0, 102, 101, 0, 100};
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .input = before, .inputs = NITEMS(before)};
	struct input_state inputs[INPUTS_MAX];
	struct segment old, fresh, again;
	struct ingest_state *ingest;
	char text[INPUT_TEXT_SIZE];
	const char *why;
	unsigned i;
	bool locked;

	assert_int_equal(segment_create(&old, &spec, &locked), 0);
	ingest = inputs_begin(&old);
	for (i = 0; i < NITEMS(before); i++) {
		inputs_of(&old, ingest)[i].counts.received = 100 + i;
		inputs_of(&old, ingest)[i].drops_seen = i + 1;
	}
	ingest_commit(&old.state->ingest);
	/* In both copies. */
	(void)inputs_begin(&old);
	ingest_commit(&old.state->ingest);
	assert_true(inputs_read(&old, inputs));
	assert_int_equal(inputs[3].counts.received, 103);
	assert_int_equal(segment_attach(&again, old.fd, SEGMENT_DECIMATOR,
	    &why), 0);
	assert_int_equal(again.inputs, NITEMS(before));
	assert_memory_equal(again.input, before, sizeof(before));
	segment_close(&again);
	spec.predecessor = &old;
	spec.input = after;
	spec.inputs = NITEMS(after);
	assert_int_equal(segment_create(&fresh, &spec, &locked), 0);
	assert_true(inputs_read(&fresh, inputs));
	for (i = 0; i < NITEMS(want); i++) {
		assert_int_equal(inputs[i].counts.received, want[i]);
		assert_int_equal(inputs[i].drops_seen,
		    want[i] == 0 ? 0 : want[i] - 99);
	}
	segment_close(&fresh);
	segment_close(&old);
	(void)inputs_text(&after[1], text);
	assert_string_equal(text, "127.0.0.1:6%lo");
	(void)inputs_text(&after[0], text);
	assert_string_equal(text, "127.0.0.1:8");
}

/* What the kernel had handed over, and nobody came to commit, is counted. */
static void
test_abandoned(void **state ATTR_UNUSED)
{
	struct segment old, new_segment;
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .predecessor = &old};
	struct ledger ledger;
	unsigned i;
	bool locked;

	make(&old, RING_SIZE_MIN);
	spec.config = *old.config;
	for (i = 0; i < old.rx_slots; i++)
		old.rx->msg[i].msg_len = i == 0 ? 5 : RX_SENTINEL;
	/* More than there are: nothing beyond the slots is looked at. */
	old.rx->offered = UINT32_MAX;
	atomic_store_explicit(&old.rx->batch, 1, memory_order_relaxed);
	assert_int_equal(segment_create(&new_segment, &spec, &locked), 0);
	assert_true(segment_ledger(&new_segment, &ledger));
	assert_int_equal(ledger.kernel_dropped, 1);
	segment_close(&new_segment);
	/* This batch has been committed. */
	atomic_store_explicit(&old.rx->batch, 0, memory_order_relaxed);
	assert_int_equal(segment_create(&new_segment, &spec, &locked), 0);
	assert_true(segment_ledger(&new_segment, &ledger));
	assert_int_equal(ledger.kernel_dropped, 0);
	segment_close(&new_segment);
	segment_close(&old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_protection),
#ifdef HAVE_LINUX
		cmocka_unit_test(test_sealed),
#endif
		cmocka_unit_test(test_not_a_segment),
		cmocka_unit_test(test_hostile_header),
		cmocka_unit_test(test_ledger),
		cmocka_unit_test(test_predecessor),
		cmocka_unit_test(test_inputs),
		cmocka_unit_test(test_abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
