/* SPDX-License-Identifier: ISC */
/*
 * The first thread of a process that several channels share.  Worker.  Must not
 * touch a datagram, nor wait for anything but threads that have ended.
 */
#include <sys/socket.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log_loop.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "worker/archive/crew.h"
#include "worker/archive/disk_ring.h"
#include "worker/host.h"
#include "worker/ingest_hub.h"
#include "worker/worker_priv.h"

/* How often lines are looked for that wait for syslog. */
#define LOG_S	1.

static struct {
	const char		*name;
	struct ev_loop		*loop;
	ev_io			 door;		/* channels come by it */
	ev_async		 note;
	ev_signal		 term;
	ev_signal		 hup;
	ev_signal		 usr1;
	ev_timer		 log;
	bool			 leaving;	/* no channel comes any more */
	bool			 syslog;
	uint32_t		 parts;		/* of the sandbox */
	struct host_loop	*shared;	/* NULL: none */
	struct ingest_hub	*hub;		/* the shared loop's */
	struct archive_crews	 crews;		/* NULL: none yet */
	struct disk_ring	*disk_ring;	/* the archives'; NULL: why */
	char			 no_disk_ring[URING_WHY_SIZE];
	TAILQ_HEAD(, host_channel) channels;
	pthread_mutex_t		 mutex;
	STAILQ_HEAD(, host_channel) gone;	/* under the mutex */
} host;

/*** The end of channels. ***/

static void
end_if_alone(void)
{
	if (host.leaving && TAILQ_EMPTY(&host.channels))
		ev_break(host.loop, EVBREAK_ALL);
}

/* Who does not hear of it believes that the channel has a worker. */
static void
say_ended(const struct host_channel *channel)
{
	if (worker_tell(&channel->worker, MESSAGE_ENDED,
	    (uint32_t)channel->status) == -1 && errno == EAGAIN)
		fatalx("the supervisor does not hear that channel %s has "
		    "ended", channel->worker.whose.name);
}

/* Its loop has let go of it, or it has never had one. */
static void
clear_away(struct host_channel *channel)
{
	struct worker *worker = &channel->worker;
	unsigned i;

	whose_enter(&worker->whose);
	if (channel->loop != NULL) {
		host_loop_leave(channel);
		if (worker->directory != -1)
			archive_join(&worker->archive);
	}
	whose_enter(NULL);
	if (worker->segment.base != NULL) {
		whose_remove(&worker->whose);
		segment_close(&worker->segment);
	}
	free(worker->program);
	for (i = 1; i < WORKER_FDS_MAX && worker->fd[i] != -1; i++)
		close(worker->fd[i]);
	say_ended(channel);
	close(worker_fd(worker, WORKER_FD_MESSAGES));
	TAILQ_REMOVE(&host.channels, channel, link);
	free(channel);
}

void
host_ended(struct host_channel *channel)
{
	pthread_mutex_lock(&host.mutex);
	STAILQ_INSERT_TAIL(&host.gone, channel, gone);
	pthread_mutex_unlock(&host.mutex);
	ev_async_send(host.loop, &host.note);
}

static void
on_gone(struct ev_loop *loop ATTR_UNUSED, ev_async *note ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	struct host_channel *channel;

	for (;;) {
		pthread_mutex_lock(&host.mutex);
		channel = STAILQ_FIRST(&host.gone);
		if (channel != NULL)
			STAILQ_REMOVE_HEAD(&host.gone, gone);
		pthread_mutex_unlock(&host.mutex);
		if (channel == NULL)
			break;
		clear_away(channel);
	}
	end_if_alone();
}

/*** Their begin. ***/

static void
enter_crew(void)
{
	sandbox_thread(SANDBOX_WITH_FILES, -1);
}

/* No file, not even of a channel's, but what is there. */
static void
enter_ring(void)
{
	(void)sandbox_enter_some(&(struct sandbox){
	    .program = SANDBOX_WORKER, .directory = -1,
	    .syslog = host.syslog, .uring = true},
	    SANDBOX_FILES | SANDBOX_CALLS);
	sandbox_thread(SANDBOX_WITH_NEITHER, disk_ring_fd(host.disk_ring));
}

/* What may take long has threads of its own, so that it does not keep the ring
 * waiting. */
static const struct archive_crews *
crews_of(unsigned size)
{
	if (host.crews.archive == NULL) {
		host.crews.archive = crew_new(size, enter_crew);
		host.crews.helpers = crew_new(size, enter_crew);
	} else {
		crew_resize(host.crews.archive, size);
		crew_resize(host.crews.helpers, size);
	}
	return &host.crews;
}

static void
start_threads(struct host_channel *channel, unsigned archive_threads)
{
	struct worker *worker = &channel->worker;
	const struct archive_crews *crews = NULL;

	worker->sandbox = host.parts & ~(uint32_t)(SANDBOX_FILES |
	    SANDBOX_CALLS);
	channel->parts = worker->directory == -1 ? SANDBOX_ALL : host.parts;
	/* Threads of all channels work for none. */
	whose_enter(NULL);
	if (worker->shares_loop && host.shared == NULL)
		host.shared = host_loop_start(host.syslog, host.hub,
		    NULL);
	if (worker->disk_ring != NULL)
		disk_ring_start(worker->disk_ring, enter_ring);
	if (worker->directory != -1)
		crews = crews_of(archive_threads);
	whose_enter(&worker->whose);
	channel->loop = worker->shares_loop ? host.shared :
	    host_loop_start(host.syslog, NULL, channel);
	worker->hub = worker->shares_loop ? host.hub : NULL;
	worker->loop = host_loop_ev(channel->loop);
	worker_start_archive(worker, crews);
}

/* The first channel's lines are the first that there are. */
static void
apply_log(const struct channel_config *config)
{
	log_init("mcrelay-worker", host.name, config->log_target,
	    config->log_level);
	host.syslog = config->log_target == LOG_TARGET_SYSLOG;
	if (host.syslog && !ev_is_active(&host.log))
		ev_timer_start(host.loop, &host.log);
}

static void
take(const struct message_channel *message, const int *fds, size_t count)
{
	struct host_channel *channel = xcalloc(1, sizeof(*channel));
	struct worker *worker = &channel->worker;
	bool first = TAILQ_EMPTY(&host.channels);
	size_t i;

	TAILQ_INSERT_TAIL(&host.channels, channel, link);
	worker->hosted = channel;
	worker->shares_loop = message->own_thread == 0;
	worker->directory = -1;
	for (i = 0; i < WORKER_FDS_MAX; i++)
		worker->fd[i] = i < count ? fds[i] : -1;
	worker->whose.voice.fd = fds[count - 1];
	memcpy(worker->whose.name, message->name, CHANNEL_NAME_MAX);
	channel->status = worker_attach(worker);
	if (channel->status != 0) {
		clear_away(channel);
		return;
	}
	if (first)
		apply_log(worker->segment.config);
	if (!worker_share_disk_ring(worker, host.disk_ring,
	    host.no_disk_ring)) {
		channel->status = WORKER_EXIT_CONFIG;
		clear_away(channel);
		return;
	}
	worker_recover(worker);
	start_threads(channel, message->archive_threads);
	whose_enter(NULL);
	host_loop_order(channel, worker_begin);
}

static void
leave(void)
{
	if (host.leaving)
		return;
	host.leaving = true;
	ev_io_stop(host.loop, &host.door);
	/* Who tries to send another channel is to know. */
	close(MESSAGE_FD);
	end_if_alone();
}

static void
on_door(struct ev_loop *loop ATTR_UNUSED, ev_io *io ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	struct message_channel message;
	int fds[FD_PASS_MAX];
	size_t count;
	ssize_t got;

	got = fd_receive(MESSAGE_FD, &message, sizeof(message), fds, &count);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == (ssize_t)sizeof(message) && count > WORKER_FD_OUTPUT -
	    WORKER_FD_MESSAGES && count <= WORKER_FDS_MAX)
		take(&message, fds, count);
	else
		leave();
}

/*** Signals: for all channels. ***/

static void
order_all(void (*act)(struct worker *worker))
{
	struct host_channel *channel;

	TAILQ_FOREACH(channel, &host.channels, link)
		host_loop_order(channel, act);
}

static void
on_signal(struct ev_loop *loop ATTR_UNUSED, ev_signal *sig,
    int events ATTR_UNUSED)
{
	if (sig == &host.hup)
		order_all(worker_rotate);
	else if (sig == &host.usr1)
		order_all(worker_log_ledger);
	else {
		order_all(worker_roll);
		leave();
	}
}

static void
start_signal(ev_signal *sig, int number)
{
	ev_signal_init(sig, on_signal, number);
	ev_signal_start(host.loop, sig);
}

/* That there is a turn of the loop is all that is needed. */
static void
on_log(struct ev_loop *loop ATTR_UNUSED, ev_timer *timer ATTR_UNUSED,
    int events ATTR_UNUSED)
{
}

static void
start_watchers(void)
{
	log_loop_start(host.loop);
	ev_timer_init(&host.log, on_log, LOG_S, LOG_S);
	ev_async_init(&host.note, on_gone);
	ev_async_start(host.loop, &host.note);
	fd_set_nonblock(MESSAGE_FD);
	ev_io_init(&host.door, on_door, MESSAGE_FD, EV_READ);
	ev_io_start(host.loop, &host.door);
	start_signal(&host.term, SIGTERM);
	start_signal(&host.hup, SIGHUP);
	start_signal(&host.usr1, SIGUSR1);
}

int
host_main(const char *name)
{
	host.name = name;
	host.loop = ev_default_loop(EVFLAG_AUTO);
	if (host.loop == NULL)
		fatalx("cannot start libev");
	TAILQ_INIT(&host.channels);
	STAILQ_INIT(&host.gone);
	pthread_mutex_init(&host.mutex, NULL);
	/* Of no address, for names of interfaces: those of the channels come
	 * and go. */
	format_address_ask(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	/* Whether a channel comes that wants it is not known. */
	host.hub = ingest_hub_new();
	host.disk_ring = disk_ring_open_shared(host.no_disk_ring);
	host.parts = sandbox_enter_some(&(struct sandbox){
	    .program = SANDBOX_HOST, .directory = -1, .syslog = true,
	    .uring = ingest_hub_event(host.hub) != -1 ||
	    host.disk_ring != NULL, .uring_buffers = true},
	    SANDBOX_ALL & ~(uint32_t)SANDBOX_FILES);
	start_watchers();
	ev_run(host.loop, 0);
	return 0;
}
