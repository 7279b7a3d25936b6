/* SPDX-License-Identifier: ISC */
/*
 * Clients of /live: their requests and their connections.  mcrelay-web only.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "web/live_priv.h"

/* What the kernel keeps for one that does not read, bytes. */
#define SEND_BUFFER	(64 * 1024)
/* What libmicrohttpd takes at a time, at most. */
#define BLOCK		((size_t)16 * 1024)
/* An answer of the supervisor that has not come by then is none. */
#define DOWN_NS		(2 * NS_PER_S)

static struct {
	struct ev_loop		*loop;
	void			(*run)(void);
	void			(*ask)(void);
	ev_timer		 second;
	LIST_HEAD(, live)	 clients;
	size_t			 count;
	/* Since when there is no answer, CLOCK_MONOTONIC; 0: nobody asks. */
	uint64_t		 asked_ns;
	uint64_t		 answered_at_ns; /* CLOCK_REALTIME */
} all;

/*** What it asks for. ***/

/* A request in the reading. */
struct asked {
	struct live	*live;
	const char	*wrong;
};

static bool
set_name(char *name, size_t size, const char *value)
{
	size_t length = strlen(value);

	if (length == 0 || length >= size)
		return false;
	memcpy(name, value, length + 1);
	return true;
}

static void
add_channel(struct asked *asked, const char *value)
{
	struct live *live = asked->live;

	if (live->channels == LIVE_CHANNELS_MAX)
		asked->wrong = "more than 8 channels\n";
	else if (set_name(live->channel[live->channels].name,
	    sizeof(live->channel->name), value))
		live->channels++;
	else
		asked->wrong = "channel is no name\n";
}

static void
add_stream(struct asked *asked, const char *value)
{
	struct live *live = asked->live;

	if (live->streams == LIVE_STREAMS_MAX)
		asked->wrong = "more than 16 streams\n";
	else if (strchr(value, '/') != NULL &&
	    set_name(live->stream[live->streams].name,
	    sizeof(live->stream->name), value))
		live->streams++;
	else
		asked->wrong = "stream has to be CHANNEL/STREAM\n";
}

static void
set_since(struct asked *asked, const char *value)
{
	char *end;
	unsigned long seconds = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end != '\0' ||
	    seconds > 3600)
		asked->wrong = "since has to be 0 to 3600 seconds\n";
	else
		asked->live->since_ns = seconds * NS_PER_S;
}

static enum MHD_Result
on_argument(void *argument, enum MHD_ValueKind kind ATTR_UNUSED,
    const char *name, const char *value)
{
	struct asked *asked = argument;

	if (value == NULL)
		asked->wrong = "a parameter without a value\n";
	else if (strcmp(name, "channel") == 0)
		add_channel(asked, value);
	else if (strcmp(name, "stream") == 0)
		add_stream(asked, value);
	else if (strcmp(name, "since") == 0)
		set_since(asked, value);
	else if (strcmp(name, "overview") == 0)
		asked->live->overview = strcmp(value, "0") != 0;
	else
		asked->wrong = "only overview, channel, stream and since are "
		    "known\n";
	return asked->wrong == NULL ? MHD_YES : MHD_NO;
}

static const char *
read_request(struct live *live)
{
	const char *id = MHD_lookup_connection_value(live->connection,
	    MHD_HEADER_KIND, "Last-Event-ID");
	struct asked asked = {live, NULL};

	if (id != NULL)
		live->behind = live->number = live_events_number(id);
	(void)MHD_get_connection_values(live->connection,
	    MHD_GET_ARGUMENT_KIND, on_argument, &asked);
	return asked.wrong;
}

/*** Its connection. ***/

static int
connection_fd(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static void
resume(struct live *live)
{
	if (!live->waits)
		return;
	live->waits = false;
	MHD_resume_connection(live->connection);
}

/* A place is kept for nobody who has left. */
static void
end(struct live *live)
{
	live->ends = true;
	(void)shutdown(live->fd, SHUT_RDWR);
	resume(live);
}

static bool
has_left(const struct live *live)
{
	char byte;

	return recv(live->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static ssize_t
give(struct live *live, char *buffer, size_t max)
{
	struct text *text = live->queue[live->at];
	size_t size = MIN_OF(max, text->size - live->sent);

	memcpy(buffer, text->data + live->sent, size);
	live->sent += size;
	if (live->sent == text->size) {
		live->queue[live->at++] = NULL;
		live->sent = 0;
		text_release(text);
	}
	return (ssize_t)size;
}

/* Asked for more when what was given before is on its way. */
static ssize_t
on_more(void *argument, uint64_t position ATTR_UNUSED, char *buffer,
    size_t max)
{
	struct live *live = argument;
	uint64_t now_ns = clock_monotonic_ns();

	if (live->ends)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (live->at == live->queued)
		live_fill(live, now_ns);
	if (live->at == live->queued) {
		live->waits = true;
		MHD_suspend_connection(live->connection);
		return 0;
	}
	live->given_ns = now_ns;
	return give(live, buffer, max);
}

/*** Clients. ***/

static bool
wants_status(const struct live *live)
{
	return live->overview || live->channels > 0;
}

struct live *
live_new(struct MHD_Connection *connection, const char **wrong,
    unsigned *code)
{
	struct live *live;
	int size = SEND_BUFFER;

	if (all.count == LIVE_CLIENTS_MAX) {
		*wrong = "too many are looking\n";
		*code = MHD_HTTP_SERVICE_UNAVAILABLE;
		return NULL;
	}
	live = xcalloc(1, sizeof(*live));
	live->connection = connection;
	live->since_ns = 60 * NS_PER_S;
	*wrong = read_request(live);
	if (*wrong != NULL) {
		*code = MHD_HTTP_BAD_REQUEST;
		free(live);
		return NULL;
	}
	live->fd = connection_fd(connection);
	(void)setsockopt(live->fd, SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size));
	/* It has a deadline of its own. */
	(void)MHD_set_connection_option(connection,
	    MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	live->given_ns = clock_monotonic_ns();
	if (streams_known())
		live_place(live, clock_realtime_ns());
	LIST_INSERT_HEAD(&all.clients, live, link);
	if (all.count++ == 0)
		ev_timer_again(all.loop, &all.second);
	if (wants_status(live))
		all.ask();
	return live;
}

struct MHD_Response *
live_response(struct live *live)
{
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK,
	    on_more, live, NULL);
}

void
live_free(struct live *live)
{
	size_t i;

	if (live == NULL)
		return;
	LIST_REMOVE(live, link);
	if (--all.count == 0)
		ev_timer_stop(all.loop, &all.second);
	for (i = live->at; i < live->queued; i++)
		text_release(live->queue[i]);
	text_release(live->overview_due);
	for (i = 0; i < live->channels; i++)
		text_release(live->channel[i].due);
	free(live);
}

/*** What happens. ***/

static void
resume_those_with_news(void)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct live *live;

	LIST_FOREACH(live, &all.clients, link)
		if (live->waits && live_has_news(live, now_ns))
			resume(live);
	all.run();
}

/* What was due and has not been sent is replaced. */
static void
set_due(struct live *live, struct text **due, struct text *text)
{
	if (*due != NULL)
		live->dropped++;
	text_release(*due);
	text->users++;
	*due = text;
}

/* Who asks for the same channel gets the same text. */
static struct text *
channel_text(const struct node *status, const struct live *live, size_t place)
{
	const char *name = live->channel[place].name;
	const struct live *other;
	struct text *text;
	size_t i;

	for (other = LIST_FIRST(&all.clients); other != live;
	    other = LIST_NEXT(other, link))
		for (i = 0; i < other->channels; i++)
			if (strcmp(other->channel[i].name, name) == 0) {
				text = other->channel[i].due;
				text->users++;
				return text;
			}
	return live_channel(status, name);
}

static void
tell_channels(const struct node *status)
{
	struct live *live;
	struct text *text;
	size_t i;

	LIST_FOREACH(live, &all.clients, link)
		for (i = 0; i < live->channels; i++) {
			text = channel_text(status, live, i);
			set_due(live, &live->channel[i].due, text);
			text_release(text);
		}
}

static void
tell_overview(const struct node *status)
{
	struct text *text = NULL;
	struct live *live;

	LIST_FOREACH(live, &all.clients, link) {
		if (!live->overview)
			continue;
		if (text == NULL)
			text = live_overview(status, all.answered_at_ns);
		set_due(live, &live->overview_due, text);
	}
	text_release(text);
}

void
live_status(const struct node *status)
{
	if (status != NULL) {
		all.asked_ns = 0;
		all.answered_at_ns = clock_realtime_ns();
		tell_channels(status);
	}
	tell_overview(status);
	resume_those_with_news();
}

/* A stream that is another one now has to be asked for anew. */
static void
look_again(struct live *live)
{
	struct live_stream *each;
	size_t i;

	for (i = 0; i < live->streams; i++) {
		each = &live->stream[i];
		each->stream = streams_find(each->name);
		if (each->stream != NULL && each->stream->id != each->id)
			each->stream = NULL;
	}
	live->streams_due = true;
}

void
live_streams(const json_t *document, int socket)
{
	struct live *live;

	if (!streams_load(document))
		return;
	LIST_FOREACH(live, &all.clients, link)
		if (live->placed)
			look_again(live);
		else
			live_place(live, clock_realtime_ns());
	watching_start(all.loop, socket, resume_those_with_news);
	resume_those_with_news();
}

static void
on_second(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool wanted = false;
	struct live *live;

	LIST_FOREACH(live, &all.clients, link) {
		wanted = wanted || wants_status(live);
		if ((!live->waits && !live->ends &&
		    now_ns - live->given_ns >= LIVE_BLOCKED_NS) ||
		    has_left(live))
			end(live);
	}
	if (!wanted)
		all.asked_ns = 0;
	else if (all.asked_ns == 0)
		all.asked_ns = now_ns;
	else if (now_ns - all.asked_ns >= DOWN_NS)
		tell_overview(NULL);
	if (wanted)
		all.ask();
	resume_those_with_news();
}

void
live_start(struct ev_loop *loop, void (*run)(void), void (*ask)(void))
{
	LIST_INIT(&all.clients);
	all.loop = loop;
	all.run = run;
	all.ask = ask;
	all.answered_at_ns = clock_realtime_ns();
	ev_timer_init(&all.second, on_second, 0., 1.);
	live_events_start();
}

void
live_end(void)
{
	struct live *live;

	LIST_FOREACH(live, &all.clients, link) {
		live->ends = true;
		resume(live);
	}
}
