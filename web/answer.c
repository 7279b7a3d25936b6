/* SPDX-License-Identifier: ISC */
/*
 * Texts for requests.  mcrelay-web only.
 *
 * The text of a thousand channels is some megabytes, and a client may take
 * long to read it: those who ask at the same time share one, and while too
 * much is under way nobody gets another.
 */
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "common/util.h"
#include "web/web_priv.h"

#define UNDER_WAY_MAX	(24U * 1024 * 1024)

#define TYPE_TEXT	"text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPEN	"application/openmetrics-text; version=1.0.0; "	\
			    "charset=utf-8"

struct body {
	size_t	size;
	char	text[];
};

static size_t	under_way;	/* bytes */

static void
free_body(void *text)
{
	struct body *body = (struct body *)(void *)((char *)text -
	    offsetof(struct body, text));

	under_way -= body->size;
	free(body);
}

static void
set_header(struct MHD_Response *response, const char *name, const char *value)
{
	(void)MHD_add_response_header(response, name, value);
}

static struct MHD_Response *
response_of(struct body *body)
{
	struct MHD_Response *response;

	under_way += body->size;
	response = MHD_create_response_from_buffer_with_free_callback(
	    body->size, body->text, free_body);
	if (response == NULL) {
		free_body(body->text);
		return NULL;
	}
	/* What nobody keeps open needs no looking after. */
	set_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	set_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	set_header(response, "X-Content-Type-Options", "nosniff");
	set_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	return response;
}

static struct body *
body_of(const char *text, size_t size)
{
	struct body *body = xmalloc(sizeof(*body) + size);

	memcpy(body->text, text, size);
	body->size = size;
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
	return body;
}
#else
static struct body *
compressed(const char *text ATTR_UNUSED, size_t size ATTR_UNUSED)
{
	return NULL;
}
#endif

static struct MHD_Response *
make(const struct request *request, const struct node *status)
{
	struct MHD_Response *response;
	struct body *body = NULL;
	size_t size;
	char *text = metrics_text(status, &request->choice, &size);
	bool gzip;

	if (request->gzip)
		body = compressed(text, size);
	gzip = body != NULL;
	if (!gzip)
		body = body_of(text, size);
	free(text);
	response = response_of(body);
	if (response == NULL)
		return NULL;
	set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	    request->choice.openmetrics ? TYPE_OPEN : TYPE_TEXT);
	if (gzip)
		set_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return response;
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

struct answer *
answer_metrics(struct answers *answers, const struct request *request,
    const struct node *status)
{
	bool shared = request->choice.channel_count == 0 &&
	    request->choice.groups == METRICS_ALL;
	struct answer **made =
	    &answers->made[request->choice.openmetrics][request->gzip];
	struct answer *answer;

	if (status == NULL)
		return answer_text(MHD_HTTP_SERVICE_UNAVAILABLE,
		    "mcrelayd does not answer\n");
	if (!has_all(status, request))
		return answer_text(MHD_HTTP_NOT_FOUND,
		    "there is no such channel\n");
	if (shared && *made != NULL) {
		(*made)->users++;
		return *made;
	}
	if (under_way > UNDER_WAY_MAX)
		return answer_text(MHD_HTTP_SERVICE_UNAVAILABLE,
		    "too many are reading\n");
	answer = new_answer(MHD_HTTP_OK, make(request, status));
	if (shared) {
		answer->users++;
		*made = answer;
	}
	return answer;
}

void
answers_done(struct answers *answers)
{
	size_t i, j;

	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++)
			answer_release(answers->made[i][j]);
}
