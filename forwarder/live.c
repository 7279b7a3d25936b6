/* SPDX-License-Identifier: ISC */
/*
 * Showing decimated streams to whoever listens.  mcrelay-forwarder.
 */
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/live.h"
#include "common/log.h"
#include "common/util.h"
#include "forwarder/forwarder.h"
#include "forwarder/live.h"
#include "forwarder/stream.h"

#define LOOK_MS		1000

/* What the supervisor has said last, until the thread takes it. */
static pthread_mutex_t	mutex = PTHREAD_MUTEX_INITIALIZER;
static struct live_list	*said;

/* The thread's. */
static struct live_list	 shown;
static natsConnection	*connection;
static int		 from;

static void
count(_Atomic uint64_t *where)
{
	atomic_fetch_add_explicit(where, 1, memory_order_relaxed);
}

/*** Sending. ***/

static bool
set_headers(natsMsg *message, const struct live_stream *stream,
    const struct live_record *record)
{
	const char *fingerprint = shown.schema[stream->schema].fingerprint;

	return natsMsgHeader_Set(message, "Mcrelay-Host", spec.host) ==
	    NATS_OK && natsMsgHeader_Set(message, "Mcrelay-Channel",
	    stream->channel) == NATS_OK && natsMsgHeader_Set(message,
	    "Mcrelay-Stream", stream->stream) == NATS_OK &&
	    natsMsgHeader_Set(message, "Mcrelay-Fingerprint", fingerprint) ==
	    NATS_OK && stream_set_number(message, "Mcrelay-Time-Ns",
	    record->time_ns) &&
	    stream_set_number(message, "Mcrelay-Missed", stream->missed) &&
	    stream_set_number(message, "Mcrelay-Lost", stream->lost);
}

/* Where nobody is there to send it to it would wait for him, and come late. */
static bool
publish(const struct live_stream *stream, const struct live_record *record,
    const uint8_t *data)
{
	natsMsg *message = NULL;
	bool good;

	if (natsConnection_Status(connection) != NATS_CONN_STATUS_CONNECTED)
		return false;
	good = natsMsg_Create(&message, stream->subject, NULL,
	    (const char *)data, (int)record->size) == NATS_OK &&
	    set_headers(message, stream, record) &&
	    natsConnection_PublishMsg(connection, message) == NATS_OK;
	natsMsg_Destroy(message);
	return good;
}

static void
show(const struct live_record *record, const uint8_t *data)
{
	struct live_stream *stream = live_list_find(&shown, record->key);

	/* Of a configuration that is not in force any more. */
	if (stream == NULL)
		return;
	stream->missed += record->missed;
	stream->lost += record->lost;
	if (publish(stream, record, data)) {
		stream->missed = stream->lost = 0;
		count(&page->shown);
		return;
	}
	stream->lost++;
	count(&page->not_shown);
}

/*** The thread. ***/

static void
take_list(void)
{
	struct live_list *next;

	pthread_mutex_lock(&mutex);
	next = said;
	said = NULL;
	pthread_mutex_unlock(&mutex);
	if (next == NULL)
		return;
	live_list_free(&shown);
	shown = *next;
	free(next);
}

/* False: there is none. */
static bool
take_packet(void)
{
	static struct log_limit limit;
	static uint8_t data[LIVE_PACKET_MAX];
	struct live_packet packet;
	struct live_record record;
	const uint8_t *bytes;
	ssize_t size = recv(from, data, sizeof(data), MSG_DONTWAIT);

	if (size <= 0)
		return false;
	take_list();
	(void)live_open(&packet, data, (size_t)size);
	while (live_next(&packet, &record, &bytes))
		show(&record, bytes);
	if (packet.bad)
		log_limited(&limit, "a decimator shows what makes no sense: "
		    "it is left out");
	return true;
}

static void *
run(void *argument ATTR_UNUSED)
{
	const struct timespec pause = {.tv_sec = LOOK_MS / 1000};
	struct pollfd socket = {.fd = from, .events = POLLIN};

	/* Here, since it may take some seconds. */
	connection = link_another(FORWARDER_PROGRAM " live");
	for (;;) {
		/* With nobody at the other end there is nothing to wait for. */
		if (poll(&socket, 1, LOOK_MS) == 1 && !take_packet())
			(void)nanosleep(&pause, NULL);
		while (take_packet())
			;
	}
	return NULL;
}

/*** The first thread. ***/

static void
start(int socket)
{
	pthread_t thread;
	int error;

	from = socket;
	error = pthread_create(&thread, NULL, run, NULL);
	if (error != 0) {
		errno = error;
		fatal("no thread for streams");
	}
	(void)pthread_detach(thread);
}

void
live_streams(int document, int socket)
{
	struct live_list *list = xcalloc(1, sizeof(*list)), *before;
	static bool started;
	json_t *root;

	/* Whoever wrote it shares the position. */
	(void)lseek(document, 0, SEEK_SET);
	root = json_loadfd(document, 0, NULL);
	live_list_read(list, root, spec.host);
	json_decref(root);
	schemas_want(list);
	pthread_mutex_lock(&mutex);
	before = said;
	said = list;
	pthread_mutex_unlock(&mutex);
	if (before != NULL)
		live_list_free(before);
	free(before);
	/* There is one pair as long as we are. */
	if (started)
		close(socket);
	else
		start(socket);
	started = true;
}
