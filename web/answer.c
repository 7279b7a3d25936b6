/* SPDX-License-Identifier: ISC */
/*
 * Texts for requests.  mcrelay-web only.
 *
 * The text of a thousand channels is some megabytes, and a client may take
 * long to read it: those who ask the same at the same time share one, and while
 * too much is under way nobody gets another.  Those who choose parts must not
 * take the place of those who read all: they have half of it, and of the time
 * that one status may take.
 */
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "common/log.h"
#include "common/util.h"
#include "web/live.h"
#include "web/pages.h"
#include "web/streams.h"
#include "web/web_priv.h"

#define UNDER_WAY_MAX	(24U * 1024 * 1024)
#define CHOSEN_MAX	(UNDER_WAY_MAX / 2)
/* Made of one status for those who choose, more or less. */
#define ROUND_MAX	(2U * 1024 * 1024)

#define TYPE_TEXT	"text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPEN	"application/openmetrics-text; version=1.0.0; "	\
			    "charset=utf-8"

struct body {
	size_t	size;
	bool	kept;		/* by us, for whoever asks: not under way */
	char	text[];
};

static size_t	under_way;	/* bytes */

static void
free_body(void *text)
{
	struct body *body = (struct body *)(void *)((char *)text -
	    offsetof(struct body, text));

	if (!body->kept)
		under_way -= body->size;
	free(body);
}

static void
set_header(struct MHD_Response *response, const char *name, const char *value)
{
	(void)MHD_add_response_header(response, name, value);
}

static void
add_headers(struct MHD_Response *response)
{
	/* What nobody keeps open needs no looking after. */
	set_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	set_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	set_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	pages_protect(response);
}

static struct MHD_Response *
response_of(struct body *body)
{
	struct MHD_Response *response;

	if (!body->kept)
		under_way += body->size;
	response = MHD_create_response_from_buffer_with_free_callback(
	    body->size, body->text, free_body);
	if (response == NULL) {
		free_body(body->text);
		return NULL;
	}
	add_headers(response);
	return response;
}

static struct body *
body_of(const char *text, size_t size)
{
	struct body *body = xmalloc(sizeof(*body) + size);

	memcpy(body->text, text, size);
	body->size = size;
	body->kept = false;
	return body;
}

static struct answer *
new_answer(unsigned code, struct MHD_Response *response)
{
	struct answer *answer = xcalloc(1, sizeof(*answer));

	answer->users = 1;
	answer->code = code;
	answer->response = response;
	return answer;
}

struct answer *
answer_text(unsigned code, const char *text)
{
	struct MHD_Response *response = response_of(body_of(text,
	    strlen(text)));

	if (response != NULL)
		set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
		    "text/plain; charset=utf-8");
	return new_answer(code, response);
}

struct answer *
answer_live(struct live *live)
{
	struct MHD_Response *response = live_response(live);

	if (response != NULL) {
		add_headers(response);
		set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
		    "text/event-stream");
		/* For proxies. */
		set_header(response, "X-Accel-Buffering", "no");
	}
	return new_answer(MHD_HTTP_OK, response);
}

void
answer_release(struct answer *answer)
{
	if (answer == NULL || --answer->users > 0)
		return;
	if (answer->response != NULL)
		MHD_destroy_response(answer->response);
	free(answer);
}

#ifdef HAVE_ZLIB
/* NULL: it cannot be done. */
static struct body *
compressed(const char *text, size_t size)
{
	z_stream stream = {.zalloc = NULL};
	struct body *body;
	size_t room;

	/* 16: with the header of gzip.  The text repeats itself so much that
	 * the fastest level takes 95 % of it away. */
	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 9,
	    Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	room = deflateBound(&stream, size);
	body = xmalloc(sizeof(*body) + room);
	stream.next_in = (Bytef *)(uintptr_t)text;
	stream.avail_in = (uInt)size;
	stream.next_out = (Bytef *)body->text;
	stream.avail_out = (uInt)room;
	room = deflate(&stream, Z_FINISH) == Z_STREAM_END ?
	    stream.total_out : 0;
	(void)deflateEnd(&stream);
	if (room == 0) {
		free(body);
		return NULL;
	}
	body = xrealloc(body, sizeof(*body) + room);
	body->size = room;
	body->kept = false;
	return body;
}
#else
static struct body *
compressed(const char *text ATTR_UNUSED, size_t size ATTR_UNUSED)
{
	return NULL;
}
#endif

char *
answer_packed(const char *text, size_t size, size_t *packed_size)
{
	struct body *body = compressed(text, size);
	char *packed;

	if (body == NULL)
		return NULL;
	*packed_size = body->size;
	packed = xmalloc(body->size);
	memcpy(packed, body->text, body->size);
	free(body);
	return packed;
}

static struct MHD_Response *
make_of(const char *text, size_t size, const char *type, bool gzip, bool kept)
{
	struct MHD_Response *response;
	struct body *body = gzip ? compressed(text, size) : NULL;

	gzip = body != NULL;
	if (!gzip)
		body = body_of(text, size);
	body->kept = kept;
	response = response_of(body);
	if (response == NULL)
		return NULL;
	set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (gzip)
		set_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return response;
}

static struct MHD_Response *
make(const struct request *request, const struct node *status, size_t *size)
{
	char *text = metrics_text(status, &request->choice, size);
	struct MHD_Response *response;

	response = make_of(text, *size, request->choice.openmetrics ?
	    TYPE_OPEN : TYPE_TEXT, request->gzip, false);
	free(text);
	return response;
}

static struct answer *
too_many(void)
{
	return answer_text(MHD_HTTP_SERVICE_UNAVAILABLE,
	    "too many are reading\n");
}

/* One for all who ask for it. */
static struct answer *
shared_json(struct answer **made, const char *text, size_t size, bool gzip,
    bool kept)
{
	if (made[gzip] == NULL) {
		if (under_way > UNDER_WAY_MAX)
			return too_many();
		made[gzip] = new_answer(MHD_HTTP_OK, make_of(text, size,
		    "application/json", gzip, kept));
	}
	made[gzip]->users++;
	return made[gzip];
}

static struct answer	*streams[2];	/* gzip */

struct answer *
answer_streams(bool gzip)
{
	json_t *document;
	struct answer *answer;
	char *text;

	if (!streams_known())
		return answer_text(MHD_HTTP_SERVICE_UNAVAILABLE,
		    "mcrelayd has not told yet which there are\n");
	if (streams[gzip] != NULL)
		return shared_json(streams, "", 0, gzip, true);
	document = streams_json();
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (text == NULL)
		fatalx("out of memory");
	answer = shared_json(streams, text, strlen(text), gzip, true);
	free(text);
	return answer;
}

void
answer_forget_streams(void)
{
	answer_release(streams[0]);
	answer_release(streams[1]);
	streams[0] = streams[1] = NULL;
}

static bool
has_all(const struct node *status, const struct request *request)
{
	size_t i;

	for (i = 0; i < request->choice.channel_count; i++)
		if (!metrics_has_channel(status, request->channels[i]))
			return false;
	return true;
}

static bool
same_choice(const struct request *a, const struct request *b)
{
	size_t i;

	if (a->gzip != b->gzip ||
	    a->choice.openmetrics != b->choice.openmetrics ||
	    a->choice.groups != b->choice.groups ||
	    a->choice.channel_count != b->choice.channel_count)
		return false;
	for (i = 0; i < a->choice.channel_count; i++)
		if (strcmp(a->channels[i], b->channels[i]) != 0)
			return false;
	return true;
}

static bool
is_whole(const struct request *request)
{
	return request->choice.channel_count == 0 &&
	    request->choice.groups == METRICS_ALL;
}

/* What another one has got who asks the same; NULL: nobody has. */
static struct answer *
find_made(const struct answers *answers, const struct request *request)
{
	size_t i;

	for (i = 0; i < answers->count; i++)
		if (same_choice(answers->made[i].request, request))
			return answers->made[i].answer;
	return NULL;
}

static struct answer *
metrics(struct answers *answers, const struct request *request,
    const struct node *status)
{
	struct answer *answer = find_made(answers, request);
	size_t size;

	if (answer == NULL) {
		if (!has_all(status, request))
			return answer_text(MHD_HTTP_NOT_FOUND,
			    "there is no such channel\n");
		if (under_way > (is_whole(request) ? UNDER_WAY_MAX :
		    CHOSEN_MAX))
			return too_many();
		if (!is_whole(request) && answers->size > ROUND_MAX)
			return NULL;
		answer = new_answer(MHD_HTTP_OK, make(request, status,
		    &size));
		if (!is_whole(request))
			answers->size += size;
		answers->made = xgrow(answers->made, answers->count,
		    sizeof(*answers->made));
		answers->made[answers->count++] =
		    (struct made){request, answer};
	}
	answer->users++;
	return answer;
}

struct answer *
answer_request(struct answers *answers, const struct request *request,
    const struct web_status *status)
{
	if (status == NULL)
		return answer_text(MHD_HTTP_SERVICE_UNAVAILABLE,
		    "no answer in time\n");
	return request->kind == REQUEST_STATUS ?
	    shared_json(answers->status, status->text, status->size,
	    request->gzip, false) : metrics(answers, request, status->node);
}

void
answers_done(struct answers *answers)
{
	size_t i;

	for (i = 0; i < answers->count; i++)
		answer_release(answers->made[i].answer);
	free(answers->made);
	answer_release(answers->status[0]);
	answer_release(answers->status[1]);
}
