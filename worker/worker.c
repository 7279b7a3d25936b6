/* SPDX-License-Identifier: ISC */
/*
 * A channel's part of the event loop, from start-up to end, and the process
 * of one that has it to itself.  Relay thread.  Must not parse configuration,
 * open a path or a socket: all that it needs it has inherited.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_loop.h"
#include "common/message.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "common/wake.h"
#include "worker/archive/synced.h"
#include "worker/host.h"
#include "worker/ingest_hub.h"
#include "worker/last_words.h"
#include "worker/worker_priv.h"

/* Bounds the emptying of a socket that is filled as fast as it is emptied. */
#define DRAIN_NS	(250 * NS_PER_MS)
/* How long that waits for an archive which makes no room for it. */
#define DRAIN_GATED_NS	(2 * NS_PER_S)
/* How long all of it may take: the supervisor waits for CHILD_STOP_NS. */
#define DRAIN_MOST_NS	(6 * NS_PER_S)
/* How long a failing archive is tried when nobody comes after it. */
#define LAST_TRIES_NS	NS_PER_S

/* Tells the readers of the ring that there is more of it. */
void
worker_wake_readers(struct worker *worker)
{
	uint64_t head = ring_head(&worker->segment.ring);

	if (worker->directory != -1)
		archive_published(&worker->archive, head);
	if (ring_wake_due(&worker->segment.page->wake_at, head))
		wake_post(worker->decimator_wake);
}

void
worker_run_outputs(struct worker *worker)
{
	unsigned i;

	relay_run(&worker->relay);
	for (i = 0; i < worker->relay.outputs; i++)
		if (worker->relay.output[i].blocked)
			ev_io_start(worker->loop, &worker->output[i]);
}

static void
on_output(struct ev_loop *loop, ev_io *io, int events ATTR_UNUSED)
{
	struct worker *worker = io->data;

	worker_enter(worker);
	ev_io_stop(loop, io);
	worker->relay.output[io - worker->output].blocked = false;
	worker_run_outputs(worker);
}

/* If not, that is left to a successor: what has come since it was told to
 * finish its files, or what an archive cannot store. */
static bool
stored_all(const struct worker *worker)
{
	const struct segment *segment = &worker->segment;

	if (merge_due_ns(&worker->ingest) != 0)
		return false;
	return worker->directory == -1 ||
	    atomic_load_explicit(&segment->state->archive_position,
	    memory_order_relaxed) >= ring_head(&segment->ring);
}

/* What is its loop's it gives back, with what has come by it committed if there
 * is room; a successor finds the rest. */
static void
leave_ring(struct worker *worker)
{
	if (worker->hub == NULL || worker->ring == NULL)
		return;
	ingest_ring_leave(worker->ring);
	worker_receive_held(worker);
}

static void
finish(struct worker *worker)
{
	worker_stop_inputs(worker);
	leave_ring(worker);
	worker_run_outputs(worker);
	ingest_look(&worker->ingest);
	/* Partner: the acquire in the supervisor's worker_drained(). */
	if (worker->ending == WORKER_STOPPING && stored_all(worker))
		atomic_store_explicit(&worker->segment.state->drained,
		    worker->directory != -1 &&
		    archive_gave_up(&worker->archive) ?
		    DRAINED_WITH_LOSS : DRAINED, memory_order_release);
	if (worker->hosted != NULL)
		host_end(worker);
	else
		ev_break(worker->loop, EVBREAK_ALL);
}

/* Whether what is in the sockets may have been there when MESSAGE_STOP came. */
static bool
was_there(const struct worker *worker)
{
	return ingest_current(&worker->segment.state->ingest)->
	    last_received_ns < worker->stopped_at_ns;
}

/*
 * Receives the datagrams that were in the sockets when MESSAGE_STOP came; what
 * an archive that must not lose has no room for yet, in on_note().  Then the
 * archive ends.  What is left over the supervisor counts.
 */
static void
drain_input(struct worker *worker)
{
	enum ingest_status status;
	bool on;

	do {
		status = worker_receive_all(worker);
		on = status == INGEST_MORE && clock_monotonic_ns() <
		    (was_there(worker) ? worker->drain_most_ns :
		    worker->drain_pause_ns);
	} while (on && !worker->shares_loop);
	if (status == INGEST_MORE && !on)
		worker_receive_held(worker);
	if (!on && !ingest_release(&worker->ingest, MERGE_RELEASE_ALL))
		status = INGEST_GATED;
	worker->draining = on || (worker->directory != -1 &&
	    status == INGEST_GATED &&
	    clock_monotonic_ns() < worker->drain_until_ns);
	if (worker->draining)
		/* The archive may have moved on just now. */
		ev_async_send(worker->loop, &worker->archive_note);
	else if (worker->directory != -1) {
		worker_wake_readers(worker);
		archive_stop(&worker->archive);
	}
}

/* The first that it hears of its end. */
static void
stop(struct worker *worker)
{
	uint64_t now = clock_monotonic_ns();

	worker_stop_inputs(worker);
	leave_ring(worker);
	worker->stopped_at_ns = clock_realtime_ns();
	worker->drain_pause_ns = now + DRAIN_NS;
	worker->drain_most_ns = now + DRAIN_MOST_NS;
	worker->drain_until_ns = now + DRAIN_GATED_NS;
	/* A next supervisor may be given the segment. */
	if (worker->directory != -1 && !worker->orphaned)
		archive_give_up_at(&worker->archive, now + LAST_TRIES_NS);
	drain_input(worker);
}

static void
end(struct worker *worker, enum worker_ending ending)
{
	bool first = worker->ending == WORKER_RUNNING;

	if (ending <= worker->ending)
		return;
	worker->ending = ending;
	if (ending == WORKER_STOPPING && first)
		stop(worker);
	else if (ending == WORKER_STOPPING)
		worker_stop_inputs(worker);
	else if (worker->directory != -1)
		archive_stop(&worker->archive);
	if (worker->directory == -1 && !worker->draining)
		finish(worker);
}

/* When that does not get through, the archive's next try comes here again. */
static void
ask_supervisor(const struct worker *worker)
{
	struct worker_state *state = worker->segment.state;

	if (atomic_load_explicit(&state->directory_gone,
	    memory_order_relaxed) != 0 &&
	    worker_tell(worker, MESSAGE_DIRECTORY_GONE, 0) == -1)
		log_debug("the supervisor does not listen");
	if (atomic_exchange_explicit(&state->room.wanted, 0,
	    memory_order_relaxed) != 0 &&
	    worker_tell(worker, MESSAGE_ROOM_WANTED, 0) == -1)
		log_debug("the supervisor does not listen");
}

/* The archive has moved on, or not; or it is another channel's turn again. */
static void
drain_on(struct worker *worker)
{
	uint64_t now = clock_monotonic_ns();
	bool room = ingest_has_room(&worker->ingest);

	if (!worker->shares_loop)
		worker->drain_pause_ns = now + DRAIN_NS;

	if (room && was_there(worker))
		worker->drain_until_ns = MIN_OF(now + DRAIN_GATED_NS,
		    worker->drain_most_ns);
	if (room || now >= worker->drain_until_ns)
		drain_input(worker);
	if (worker->directory == -1 && !worker->draining)
		finish(worker);
}

/* The archive thread has stored a block, has failed, or has ended. */
static void
on_note(struct ev_loop *loop ATTR_UNUSED, ev_async *async,
    int events ATTR_UNUSED)
{
	struct worker *worker = async->data;

	worker_enter(worker);
	if (worker->directory != -1 && archive_ended(&worker->archive)) {
		finish(worker);
		return;
	}
	ask_supervisor(worker);
	worker_look_at_disk_ring(worker);
	if (worker->draining)
		drain_on(worker);
	if (!worker->gated || !ingest_has_room(&worker->ingest))
		return;
	worker->gated = false;
	if (worker->ending == WORKER_STOPPING)
		return;
	worker_start_inputs(worker);
	worker_receive_held(worker);
}

/* Called in the archive thread. */
static void
send_note(void *argument)
{
	struct worker *worker = argument;

	ev_async_send(worker->loop, &worker->archive_note);
}

void
worker_roll(struct worker *worker)
{
	end(worker, WORKER_ROLLING);
}

void
worker_rotate(struct worker *worker)
{
	if (worker->directory != -1)
		archive_rotate(&worker->archive);
}

static void
take_message(struct worker *worker, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_STOP:
		end(worker, WORKER_STOPPING);
		break;
	case MESSAGE_ROLL:
		worker_roll(worker);
		break;
	case MESSAGE_ROTATE:
		worker_rotate(worker);
		break;
	case MESSAGE_LOG_LEVEL:
		log_set_level(message->log_level);
		break;
	case MESSAGE_MAKE_ROOM:
		if (worker->directory != -1)
			archive_make_room(&worker->archive);
		break;
	case MESSAGE_TURN:
		worker_take_turn(worker);
		break;
	}
}

static void
on_messages(struct ev_loop *loop, ev_io *io, int events ATTR_UNUSED)
{
	struct worker *worker = io->data;
	struct message message;
	ssize_t got;

	worker_enter(worker);
	got = recv(io->fd, &message, sizeof(message), MSG_DONTWAIT);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		log_info("the supervisor is gone, or another one: finishing");
		ev_io_stop(loop, io);
		worker->orphaned = true;
		end(worker, WORKER_STOPPING);
	} else if ((size_t)got == sizeof(message))
		take_message(worker, &message);
}

static void
on_term(struct ev_loop *loop ATTR_UNUSED, ev_signal *sig,
    int events ATTR_UNUSED)
{
	worker_roll(sig->data);
}

static void
on_hup(struct ev_loop *loop ATTR_UNUSED, ev_signal *sig, int events ATTR_UNUSED)
{
	worker_rotate(sig->data);
}

static void
on_usr1(struct ev_loop *loop ATTR_UNUSED, ev_signal *sig,
    int events ATTR_UNUSED)
{
	worker_log_ledger(sig->data);
}

static void
start_signal(struct worker *worker, ev_signal *sig,
    void (*callback)(struct ev_loop *, ev_signal *, int), int number)
{
	ev_signal_init(sig, callback, number);
	sig->data = worker;
	ev_signal_start(worker->loop, sig);
}

static void
start_watchers(struct worker *worker)
{
	unsigned i;

	worker_init_inputs(worker);
	worker_start_inputs(worker);
	ev_io_init(&worker->messages, on_messages, worker_fd(worker,
	    WORKER_FD_MESSAGES), EV_READ);
	worker->messages.data = worker;
	ev_io_start(worker->loop, &worker->messages);
	for (i = 0; i < worker->relay.outputs; i++) {
		ev_io_init(&worker->output[i], on_output,
		    worker->relay.output[i].socket, EV_WRITE);
		worker->output[i].data = worker;
	}
	ev_async_start(worker->loop, &worker->archive_note);
	/* The archive's thread may have sent one already. */
	ev_async_send(worker->loop, &worker->archive_note);
}

void
worker_stop_watchers(struct worker *worker)
{
	unsigned i;

	worker_stop_inputs(worker);
	for (i = 0; i < worker->relay.outputs; i++)
		ev_io_stop(worker->loop, &worker->output[i]);
	ev_io_stop(worker->loop, &worker->messages);
	ev_timer_stop(worker->loop, &worker->drops);
	ev_timer_stop(worker->loop, &worker->merge);
	ev_async_stop(worker->loop, &worker->archive_note);
	if (worker->hub == NULL || worker->ring == NULL)
		return;
	ingest_ring_free(worker->ring);
	worker->ring = worker->ingest.ring = NULL;
}

void
worker_start_archive(struct worker *worker, const struct archive_crews *crews)
{
	ev_async_init(&worker->archive_note, on_note);
	worker->archive_note.data = worker;
	if (worker->directory != -1)
		archive_start(&worker->archive, &worker->segment,
		    worker->program, worker->directory, worker->disk_ring,
		    crews, send_note, worker);
}

void
worker_fail(struct worker *worker)
{
	if (worker->hosted == NULL)
		exit(WORKER_EXIT_CONFIG);
	worker->hosted->status = WORKER_EXIT_CONFIG;
	worker_roll(worker);
}

void
worker_begin(struct worker *worker)
{
	bool good;

	worker_enter(worker);
	if (worker->hosted != NULL)
		host_begin(worker);
	good = worker_join_ring(worker);
	start_watchers(worker);
	if (!good) {
		worker_fail(worker);
		return;
	}
	worker_run_outputs(worker);
	worker_wake_readers(worker);
	if (worker_tell(worker, MESSAGE_READY, worker->sandbox) == -1)
		log_warn("cannot tell the supervisor that I am ready");
}

/* What a process has to itself, whatever it has channels for. */
void
worker_begin_process(const char *name)
{
	log_init("mcrelay-worker", name, LOG_TARGET_STDERR, LOG_INFO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* write() fails instead */
	process_sleep_exactly();	/* for wait_for_batch() */
	signal(SIGINT, SIG_IGN);	/* ^C is for the supervisor */
	process_share_heap();
	last_words_init();
	last_words_thread();
	synced_learn_boot();
}

static int
run_alone(struct worker *worker)
{
	const struct channel_config *config;
	unsigned i;
	int status;

	for (i = 0; i < WORKER_FDS_MAX; i++)
		worker->fd[i] = WORKER_FD_MESSAGES + (int)i;
	worker->loop = ev_default_loop(EVFLAG_AUTO);
	if (worker->loop == NULL)
		fatalx("cannot start libev");
	status = worker_attach(worker);
	if (status != 0)
		return status;
	config = worker->segment.config;
	log_init("mcrelay-worker", config->name, config->log_target,
	    config->log_level);
	format_address_ask(WORKER_FD_INPUT);
	worker->sandbox = sandbox_enter(&(struct sandbox){
	    .program = SANDBOX_WORKER, .directory = worker->directory,
	    .syslog = config->log_target == LOG_TARGET_SYSLOG,
	    .uring = config->uring.enabled != 0});
	worker_recover(worker);
	log_loop_start(worker->loop);
	start_signal(worker, &worker->term, on_term, SIGTERM);
	start_signal(worker, &worker->hup, on_hup, SIGHUP);
	start_signal(worker, &worker->usr1, on_usr1, SIGUSR1);
	worker_start_archive(worker, NULL);
	worker_schedule(config);
	sandbox_thread(SANDBOX_WITH_NETWORK, ingest_ring_fd(worker->ring));
	worker_begin(worker);
	ev_run(worker->loop, 0);
	if (worker->directory != -1)
		archive_join(&worker->archive);
	free(worker->program);
	segment_close(&worker->segment);
	return 0;
}

int
worker_main(int argc, char **argv)
{
	static struct worker worker;
	const char *name = argc > 1 ? argv[1] : NULL;

	worker_begin_process(name);
	if (name != NULL && name[0] == MESSAGE_SHARED_MARK[0])
		return host_main(name);
	return run_alone(&worker);
}
