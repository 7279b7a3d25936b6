/* SPDX-License-Identifier: ISC */
/*
 * A worker's start: from inherited descriptors to where its predecessor
 * stopped.  Relay thread.
 */
#include <sys/resource.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "worker/archive/disk_ring.h"
#include "worker/host_loop.h"
#include "worker/ingest_hub.h"
#include "worker/ingest_xdp.h"
#include "worker/last_words.h"
#include "worker/worker_priv.h"

static void
find_inputs(const struct worker *worker, int sockets[static INPUTS_MAX])
{
	uint32_t i;

	sockets[0] = worker_fd(worker, WORKER_FD_INPUT);
	for (i = 1; i < worker->segment.inputs; i++)
		sockets[i] = worker->more_inputs[i - 1];
}

/* From now on the calling thread works for this channel. */
static void
become(struct worker *worker)
{
	const struct channel_config *config = worker->segment.config;
	struct whose *whose = &worker->whose;

	memcpy(whose->name, config->name, CHANNEL_NAME_MAX);
	snprintf(whose->tag, sizeof(whose->tag), "mcrelay-worker[%s]",
	    whose->name);
	whose->state = worker->segment.state;
	whose->outputs = MIN_OF(config->outputs, (uint32_t)OUTPUTS_MAX);
	if (worker->hosted != NULL)
		whose->voice.tag = whose->tag;
	whose_add(whose);
	whose_enter(whose);
}

/* False: there has to be a ring.  That there is none is said by the first
 * worker, not by each that follows it, and once for all uses. */
static bool
do_without(const struct segment *segment, enum uring_use use, const char *why)
{
	uint32_t missed;

	if (segment->config->uring.fallback_on_error == 0) {
		last_words("io_uring cannot be used: %s", why);
		return false;
	}
	missed = atomic_fetch_or_explicit(&segment->state->uring_missed, use,
	    memory_order_relaxed);
	if (missed == 0)
		log_warnx("io_uring cannot be used (%s): goes on without", why);
	return true;
}

/* As do_without(), of the one for files, unless there is one. */
static bool
has_disk_ring(const struct worker *worker, const char *why)
{
	const struct segment *segment = &worker->segment;

	if (worker->disk_ring == NULL)
		return do_without(segment, URING_WRITE, why);
	/* A predecessor's may have failed. */
	atomic_fetch_and_explicit(&segment->state->uring_missed,
	    ~(uint32_t)URING_WRITE, memory_order_relaxed);
	return true;
}

static bool
writes_by_ring(const struct worker *worker)
{
	const struct channel_config *config = worker->segment.config;
	enum archive_write write = config->archive.write;

	return config->uring.enabled != 0 && worker->directory != -1 &&
	    archive_back_end(write, true) != write;
}

/* False: there has to be one, and there is none. */
static bool
open_rings(struct worker *worker)
{
	const struct segment *segment = &worker->segment;
	const struct channel_config *config = segment->config;
	int sockets[INPUTS_MAX];
	char why[URING_WHY_SIZE];

	/* Those of shared ones are there. */
	if (config->uring.enabled == 0 || worker->hosted != NULL)
		return true;
	find_inputs(worker, sockets);
	if (worker->frames == NULL) {
		worker->ring = ingest_ring_open(segment, sockets, why);
		if (worker->ring == NULL &&
		    !do_without(segment, URING_RECEIVE, why))
			return false;
	}
	if (!writes_by_ring(worker))
		return true;
	worker->disk_ring = disk_ring_open(&config->uring, why);
	return has_disk_ring(worker, why);
}

bool
worker_share_disk_ring(struct worker *worker, struct disk_ring *ring,
    const char *why)
{
	if (!writes_by_ring(worker))
		return true;
	if (ring != NULL && !disk_ring_works(ring)) {
		ring = NULL;
		why = "that of the worker has failed: restart it";
	}
	worker->disk_ring = ring;
	return has_disk_ring(worker, why);
}

void
worker_look_at_disk_ring(struct worker *worker)
{
	if (worker->disk_ring == NULL || disk_ring_works(worker->disk_ring))
		return;
	/* The log has it. */
	atomic_fetch_or_explicit(&worker->segment.state->uring_missed,
	    URING_WRITE, memory_order_relaxed);
	if (worker->hosted == NULL || worker->hosted->status != 0 ||
	    worker->segment.config->uring.fallback_on_error != 0)
		return;
	last_words("io_uring does not write any more");
	worker_fail(worker);
}

bool
worker_join_ring(struct worker *worker)
{
	const struct segment *segment = &worker->segment;
	int sockets[INPUTS_MAX];
	char why[URING_WHY_SIZE];

	if (worker->hub == NULL || segment->config->uring.enabled == 0)
		return true;
	find_inputs(worker, sockets);
	worker->ring = ingest_hub_join(worker->hub, segment, sockets, worker,
	    why);
	if (worker->ring == NULL)
		return do_without(segment, URING_RECEIVE, why);
	ingest_use_ring(&worker->ingest, worker->ring);
	return true;
}

/* False: there is one, with datagrams in it, and it cannot be used. */
static bool
open_frames(struct worker *worker)
{
	const int *fd = worker->more_inputs + worker->segment.inputs - 1;
	char why[INGEST_XDP_WHY_SIZE];

	if (worker->segment.state->xdp_socket == 0)
		return true;
	worker->frames = ingest_frames_open(&worker->segment, fd[0], fd[1],
	    worker_fd(worker, WORKER_FD_INPUT), why);
	if (worker->frames == NULL)
		last_words("cannot receive by AF_XDP: %s", why);
	return worker->frames != NULL;
}

int
worker_attach(struct worker *worker)
{
	const struct channel_config *config;
	const char *why;
	const int *next;

	if (segment_attach(&worker->segment, worker_fd(worker,
	    WORKER_FD_SEGMENT), SEGMENT_WORKER, &why) == -1) {
		last_words("cannot use the segment: %s", why);
		return WORKER_EXIT_CONFIG;
	}
	become(worker);
	config = worker->segment.config;
	if (worker->segment.program != NULL) {
		worker->program = datum_program_load(worker->segment.program,
		    worker->segment.program_size, &why);
		if (worker->program == NULL) {
			last_words("cannot use the datum program: %s", why);
			return WORKER_EXIT_CONFIG;
		}
	}
	if (codec_missing(config->archive.codec) != NULL) {
		last_words("this build of mcrelay-worker has no codec "
		    "%s", codec_name(config->archive.codec));
		return WORKER_EXIT_CONFIG;
	}
	next = &worker->fd[WORKER_FD_OUTPUT - WORKER_FD_MESSAGES +
	    worker->whose.outputs];
	worker->directory = config->archive.enabled ? *next++ : -1;
	worker->decimator_wake = *next++;
	worker->more_inputs = next;
	return open_frames(worker) && open_rings(worker) ? 0 :
	    WORKER_EXIT_CONFIG;
}

void
worker_recover(struct worker *worker)
{
	const struct segment *segment = &worker->segment;
	int inputs[INPUTS_MAX];
	uint64_t recovered;
	int i;

	find_inputs(worker, inputs);
	for (i = 0; i < (int)segment->inputs; i++)
		worker->busy_poll_ns = MAX_OF(worker->busy_poll_ns,
		    segment->input[i].busy_poll_ns);
	/* Outputs first: ingest may have to move them out of its way. */
	relay_init(&worker->relay, segment, &worker->fd[WORKER_FD_OUTPUT -
	    WORKER_FD_MESSAGES]);
	recovered = ingest_init(&worker->ingest, segment,
	    worker->program, &worker->relay, inputs, worker->ring,
	    worker->frames);
	if (recovered > 0)
		log_info("took over %" PRIu64 " datagrams that my predecessor "
		    "had in hand", recovered);
}

void
worker_schedule(const struct channel_config *config)
{
	if (config->run.cpu >= 0 && thread_pin(config->run.cpu) == -1)
		log_warn("cannot run on CPU %d", config->run.cpu);
	if (config->run.priority > 0 && setpriority(PRIO_PROCESS,
	    (id_t)gettid(), -(int)config->run.priority) == -1)
		log_warn("cannot run with priority %u: start mcrelayd as root",
		    config->run.priority);
}
