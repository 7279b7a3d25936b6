/* SPDX-License-Identifier: ISC */
/*
 * The event loop of mcrelay-decimator.  Sleeps as long as no channel has
 * anything new; one channel never keeps the others waiting for more than its
 * share of a turn.
 *
 * A channel is in one of three states:
 *
 *	READY	its ring may hold something: it gets a share each turn
 *	PACED	it had something a moment ago: it is looked at when the pace
 *		timer fires (and woken before that if it fills up fast)
 *	IDLE	it is woken by the next record
 *
 * so that a channel with traffic costs its worker no wake-up for each
 * batch, and one without costs nobody anything.
 */
#include <sys/queue.h>
#include <sys/resource.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/log_loop.h"
#include "common/message.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "decimator/decimator.h"
#include "decimator/live.h"
#include "decimator/reader.h"

#define PROGRAM		"mcrelay-decimator"

/*
 * How long a record may lie in the ring before it is looked at, in seconds:
 * short against what an eye can see, long against the few microseconds that
 * a wake-up costs worker and decimator.
 */
#define PACE		0.005

enum channel_state {
	CHANNEL_READY,
	CHANNEL_PACED,
	CHANNEL_IDLE,
	CHANNEL_STATES,
};

struct channel {
	uint32_t		 number;	/* the supervisor's */
	struct reader		*reader;
	enum channel_state	 state;
	ev_io			 wake;		/* on the reader's eventfd */
	ev_timer		 due;		/* a window's time is over */
	TAILQ_ENTRY(channel)	 entry;
};

TAILQ_HEAD(channel_list, channel);

struct decimator {
	struct ev_loop		*loop;
	struct channel_list	 list[CHANNEL_STATES];
	ev_io			 messages;
	ev_idle			 turn;	/* active while one is READY */
	ev_timer		 pace;	/* active while one is PACED */
	ev_signal		 term;
};

/*** Channels. ***/

static void
set_state(struct decimator *d, struct channel *channel,
    enum channel_state state)
{
	TAILQ_REMOVE(&d->list[channel->state], channel, entry);
	TAILQ_INSERT_TAIL(&d->list[state], channel, entry);
	channel->state = state;
	if (state == CHANNEL_READY)
		ev_idle_start(d->loop, &d->turn);
	else if (state == CHANNEL_PACED && !ev_is_active(&d->pace)) {
		ev_timer_set(&d->pace, PACE, 0.);
		ev_timer_start(d->loop, &d->pace);
	}
}

static void
channel_free(struct decimator *d, struct channel *channel)
{
	TAILQ_REMOVE(&d->list[channel->state], channel, entry);
	ev_io_stop(d->loop, &channel->wake);
	ev_timer_stop(d->loop, &channel->due);
	reader_close(channel->reader);
	free(channel);
}

static struct channel *
channel_find(struct decimator *d, uint32_t number)
{
	struct channel *channel;
	unsigned i;

	for (i = 0; i < CHANNEL_STATES; i++)
		TAILQ_FOREACH(channel, &d->list[i], entry)
			if (channel->number == number)
				return channel;
	return NULL;
}

static void
on_wake(struct ev_loop *loop ATTR_UNUSED, ev_io *watcher,
    int events ATTR_UNUSED)
{
	struct channel *channel = watcher->data;
	struct decimator *d = ev_userdata(loop);

	reader_woken(channel->reader);
	if (channel->state != CHANNEL_READY)
		set_state(d, channel, CHANNEL_READY);
}

static void
on_due(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	struct decimator *d = ev_userdata(loop);

	set_state(d, watcher->data, CHANNEL_READY);
}

/* A channel that receives nothing more has windows that end all the same. */
static void
wait_due(struct decimator *d, struct channel *channel)
{
	uint64_t due_ns = reader_due_ns(channel->reader), now_ns;

	ev_timer_stop(d->loop, &channel->due);
	if (due_ns == UINT64_MAX)
		return;
	now_ns = clock_monotonic_ns();
	ev_now_update(d->loop);
	ev_timer_set(&channel->due, due_ns > now_ns ?
	    (double)(due_ns - now_ns) / (double)NS_PER_S : 0., 0.);
	ev_timer_start(d->loop, &channel->due);
}

/* One share for one channel, and what to do with it next. */
static void
serve(struct decimator *d, struct channel *channel)
{
	switch (reader_step(channel->reader)) {
	case READER_MORE:
		set_state(d, channel, CHANNEL_READY);
		break;
	case READER_CAUGHT_UP:
		set_state(d, channel,
		    reader_sleep(channel->reader, READER_WAKE_LATER) ?
		    CHANNEL_PACED : CHANNEL_READY);
		break;
	case READER_IDLE:
		set_state(d, channel,
		    reader_sleep(channel->reader, READER_WAKE_NEXT) ?
		    CHANNEL_IDLE : CHANNEL_READY);
		wait_due(d, channel);
		break;
	case READER_BROKEN:
		log_warnx("%s: its ring holds garbage: not decimated until "
		    "its configuration changes or the decimator is restarted",
		    reader_name(channel->reader));
		channel_free(d, channel);
		break;
	}
}

/* Each channel that is ready now gets its share, once. */
static void
on_turn(struct ev_loop *loop, ev_idle *watcher, int events ATTR_UNUSED)
{
	struct decimator *d = ev_userdata(loop);
	struct channel_list *ready = &d->list[CHANNEL_READY];
	struct channel *channel = TAILQ_FIRST(ready);
	struct channel *last = TAILQ_LAST(ready, channel_list), *next;

	/* A channel that stays ready goes to the end of the list, behind
	 * `last'. */
	for (; channel != NULL; channel = next) {
		next = channel == last ? NULL : TAILQ_NEXT(channel, entry);
		serve(d, channel);
	}
	live_flush();
	if (TAILQ_EMPTY(ready))
		ev_idle_stop(loop, watcher);
}

static void
on_pace(struct ev_loop *loop, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	struct decimator *d = ev_userdata(loop);
	struct channel *channel;

	while ((channel = TAILQ_FIRST(&d->list[CHANNEL_PACED])) != NULL)
		set_state(d, channel, CHANNEL_READY);
}

/*** The supervisor's messages. ***/

static void
on_serve(struct decimator *d, const struct message *message,
    const int *fds, size_t fd_count)
{
	struct channel *channel = channel_find(d, message->channel);
	struct reader *reader;

	log_set_level(message->log_level);
	if (channel != NULL)
		ev_io_stop(d->loop, &channel->wake);
	reader = reader_open(message, fds, fd_count,
	    channel != NULL ? channel->reader : NULL);
	if (channel == NULL) {
		if (reader == NULL)
			return;
		channel = xcalloc(1, sizeof(*channel));
		channel->number = message->channel;
		channel->state = CHANNEL_IDLE;
		ev_init(&channel->due, on_due);
		channel->due.data = channel;
		TAILQ_INSERT_TAIL(&d->list[CHANNEL_IDLE], channel, entry);
	}
	channel->reader = reader;
	if (reader == NULL) {
		channel_free(d, channel);
		return;
	}
	/* Nobody else tells this process where log lines go. */
	log_init(PROGRAM, NULL, reader_log_target(reader), message->log_level);
	ev_io_init(&channel->wake, on_wake, reader_fd(reader), EV_READ);
	channel->wake.data = channel;
	ev_io_start(d->loop, &channel->wake);
	set_state(d, channel, CHANNEL_READY);
}

/* The supervisor waits for this, as another decimator may for a channel: it
 * must get through.  It never waits for us, so we may wait for it. */
static void
answer(enum message_type type, uint32_t number)
{
	static struct message message;
	struct pollfd room = {.fd = MESSAGE_FD, .events = POLLOUT};

	message.type = type;
	message.channel = number;
	while (fd_send(MESSAGE_FD, &message, sizeof(message), NULL, 0) == -1) {
		/* If the supervisor is gone, on_messages() will notice. */
		if (errno != EAGAIN && errno != EINTR)
			return;
		(void)poll(&room, 1, -1);
	}
}

static void
on_forget(struct decimator *d, const struct message *message)
{
	struct channel *channel = channel_find(d, message->channel);

	if (channel != NULL)
		channel_free(d, channel);
	answer(MESSAGE_FORGOTTEN, message->channel);
}

/* A ring seems to have waited for us: whatever the reason, look. */
static void
on_look(struct decimator *d)
{
	struct channel *channel;
	unsigned i;

	for (i = 0; i < CHANNEL_STATES; i++)
		while (i != CHANNEL_READY &&
		    (channel = TAILQ_FIRST(&d->list[i])) != NULL)
			set_state(d, channel, CHANNEL_READY);
	answer(MESSAGE_LOOKED, 0);
}

/* Somebody looks at the streams, or nobody any more. */
static void
on_live(enum live_viewer viewer, const int *fds, size_t fd_count)
{
	live_socket(viewer, fd_count > 0 ? fds[0] : -1);
	if (fd_count > 1)
		reader_close_fds(fds + 1, fd_count - 1);
}

static void
on_message(struct decimator *d, const struct message *message,
    const int *fds, size_t fd_count)
{
	switch (message->type) {
	case MESSAGE_SERVE:
		on_serve(d, message, fds, fd_count);
		return;
	case MESSAGE_LIVE:
		on_live(LIVE_WEB, fds, fd_count);
		return;
	case MESSAGE_LIVE_FORWARD:
		on_live(LIVE_FORWARDER, fds, fd_count);
		return;
	case MESSAGE_FORGET:
		on_forget(d, message);
		break;
	case MESSAGE_LOG_LEVEL:
		log_set_level(message->log_level);
		break;
	case MESSAGE_LOOK:
		on_look(d);
		break;
	default:
		log_warnx("message %u from the supervisor is unknown and "
		    "left out", message->type);
		break;
	}
	reader_close_fds(fds, fd_count);
}

static void
on_messages(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
	static struct message message;
	struct decimator *d = ev_userdata(loop);
	int fds[FD_PASS_MAX];
	size_t fd_count;
	ssize_t got;

	got = fd_receive(watcher->fd, &message, sizeof(message), fds,
	    &fd_count);
	if (got == sizeof(message)) {
		on_message(d, &message, fds, fd_count);
		return;
	}
	if (got > 0) {
		log_warnx("a message of %zd bytes from the supervisor, not "
		    "%zu, is left out: is it of another version?", got,
		    sizeof(message));
		reader_close_fds(fds, fd_count);
		return;
	}
	if (got == 0) {
		log_info("the supervisor has hung up: exiting");
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	/* Descriptors that did not fit: that channel is not decimated. */
	if (errno == EMSGSIZE)
		log_warnx("a message from the supervisor was cut off and is "
		    "left out: is the limit of open files too low?");
	else if (errno != EAGAIN && errno != EINTR)
		fatal("the supervisor's socket");
}

/*** Start and end. ***/

static void
on_term(struct ev_loop *loop, ev_signal *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	ev_break(loop, EVBREAK_ALL);
}

/* A few descriptors for each of 1000 channels: as many as we may have. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_warn("cannot raise the limit of open files");
}

static void
start(struct decimator *d)
{
	unsigned i;

	for (i = 0; i < CHANNEL_STATES; i++)
		TAILQ_INIT(&d->list[i]);
	ev_set_userdata(d->loop, d);
	log_loop_start(d->loop);
	ev_io_init(&d->messages, on_messages, MESSAGE_FD, EV_READ);
	ev_io_start(d->loop, &d->messages);
	ev_signal_init(&d->term, on_term, SIGTERM);
	ev_signal_start(d->loop, &d->term);
	ev_init(&d->pace, on_pace);
	ev_idle_init(&d->turn, on_turn);
	/* Idle watchers run only when nothing of their priority or above is
	 * pending; this one runs each time round. */
	ev_set_priority(&d->turn, EV_MAXPRI);
}

int
decimator_run(void)
{
	struct decimator d = {.loop = EV_DEFAULT};
	struct channel *channel;
	unsigned i;

	log_init(PROGRAM, NULL, LOG_TARGET_STDERR, LOG_INFO);
	if (d.loop == NULL)
		fatalx("libev cannot start");
	/* The supervisor decides for its children what these mean. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	start(&d);
	/* With it go the channels: the next one gives them to others, and two
	 * would write to one page. */
	message_end_with_supervisor();
	/* Where the log goes it hears only with its first channel. */
	message_ready(sandbox_enter(&(struct sandbox){
	    .program = SANDBOX_DECIMATOR, .directory = -1, .syslog = true}));
	ev_run(d.loop, 0);
	for (i = 0; i < CHANNEL_STATES; i++)
		while ((channel = TAILQ_FIRST(&d.list[i])) != NULL)
			channel_free(&d, channel);
	ev_loop_destroy(d.loop);
	return 0;
}
