/* SPDX-License-Identifier: ISC */
/*
 * How long ingest waits for more to come.  Worker, relay thread only.
 */
#include "common/util.h"
#include "worker/ingest.h"

/*
 * With coalesce: auto, the wait after a small batch.  A wake-up for one or two
 * datagrams costs about 4 us of CPU for the epoll_wait, recvmmsg and sendmmsg
 * around them, so the wait is made long enough for WAIT_DATAGRAMS; but no
 * longer than WAIT_MAX_NS, the latency that it adds at the most.  A shorter
 * sleep than WAIT_MIN_NS is not worth its timer.  If fewer than
 * WAIT_DATAGRAMS_MIN are to be expected there is no wait: a slow stream has
 * the lowest latency.
 */
#define WAIT_DATAGRAMS		16U
#define WAIT_DATAGRAMS_MIN	4U
#define WAIT_MIN_NS		(20 * NS_PER_US)
#define WAIT_MAX_NS		(100 * NS_PER_US)
/* A longer pause says nothing about the stream's pace. */
#define GAP_MAX_NS		NS_PER_MS

/* Keeps the mean time between datagrams, over the last ten batches or so. */
static void
measure_gap(struct ingest *ingest, uint64_t now_ns, unsigned datagrams)
{
	uint64_t gap = MIN_OF((now_ns - ingest->batch_ns) / datagrams,
	    GAP_MAX_NS);

	ingest->batch_ns = now_ns;
	ingest->gap_ns = (ingest->gap_ns * 7 + gap) / 8;
}

uint64_t
ingest_wait_ns(struct ingest *ingest, uint64_t now_ns)
{
	const struct segment *segment = ingest->segment;
	uint64_t configured = segment->input[ingest->input].coalesce_ns, wait;
	unsigned datagrams = segment->inputs == 1 ? ingest->batch_datagrams :
	    ingest->unwaited;

	ingest->unwaited = 0;
	if (configured == 0 || datagrams == 0)
		return 0;
	measure_gap(ingest, now_ns, datagrams);
	if (datagrams >= WAIT_DATAGRAMS)
		return 0;
	if (configured != COALESCE_AUTO)
		return configured;
	if (ingest->gap_ns * WAIT_DATAGRAMS_MIN > WAIT_MAX_NS)
		return 0;
	wait = MIN_OF(WAIT_MAX_NS, ingest->gap_ns * WAIT_DATAGRAMS);
	return MAX_OF(WAIT_MIN_NS, wait);
}
