/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing what is ours of a request to mcrelay-web, and of its answer.  The
 * input is four parts, with a newline between: the query, Accept,
 * Accept-Encoding, and what the supervisor says of the status, which may have
 * newlines.  An empty header is none.  What libmicrohttpd does with them
 * before, as decoding %XX, is not here: a value may hold any byte but NUL.
 *
 * A request is wrong, and says why in a line, or it asks for no more than it
 * may; a format is taken that the client has named.  A status is no JSON, or
 * becomes lines of which each is a sample of ours or a comment.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"
#include "metrics/exposition.h"
#include "web/accept.h"
#include "web/web_priv.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char	*query, *accepted, *encodings;

/*** In place of libmicrohttpd's. ***/

const char *
MHD_lookup_connection_value(struct MHD_Connection *connection ATTR_UNUSED,
    enum MHD_ValueKind kind, const char *name)
{
	const char *value = strcmp(name, MHD_HTTP_HEADER_ACCEPT) == 0 ?
	    accepted : encodings;

	assert(kind == MHD_HEADER_KIND);
	return value[0] == '\0' ? NULL : value;
}

int
MHD_get_connection_values(struct MHD_Connection *connection ATTR_UNUSED,
    enum MHD_ValueKind kind, MHD_KeyValueIterator iterator, void *argument)
{
	char *rest = query, *name, *value;
	int count = 0;

	while ((name = strsep(&rest, "&")) != NULL && name[0] != '\0') {
		value = name;
		(void)strsep(&value, "=");
		count++;
		if (iterator(argument, kind, name, value) != MHD_YES)
			break;
	}
	return count;
}

/*** What must hold. ***/

static void
check_header(const char *header, const char *name, const char *version)
{
	assert(accept_quality(header, name, version) <= 1000);
}

static void
check_request(const struct request *request)
{
	size_t i;

	check_header(accepted, "text/plain", "0.0.4");
	check_header(encodings, "gzip", NULL);
	if (request->wrong != NULL)
		assert(strchr(request->wrong, '\n') == request->wrong +
		    strlen(request->wrong) - 1);
	assert(request->choice.channel_count <= WEB_CHANNELS_MAX);
	for (i = 0; i < request->choice.channel_count; i++)
		assert(request->choice.channels[i] != NULL);
	assert(request->choice.groups != 0);
	assert((request->choice.groups & ~(unsigned)METRICS_ALL) == 0);
	assert(!request->choice.openmetrics ||
	    strcasestr(accepted, "openmetrics") != NULL);
	assert(!request->gzip || strcasestr(encodings, "gzip") != NULL ||
	    strchr(encodings, '*') != NULL);
}

static void
check_line(const char *line, size_t size)
{
	static const char sample[] = METRICS_PREFIX;

	assert(size > 0 && (line[0] == '#' || (size > strlen(sample) &&
	    strncmp(line, sample, strlen(sample)) == 0)));
	/* Its value is a number. */
	assert(line[0] == '#' || (line[size - 1] >= '0' &&
	    line[size - 1] <= '9'));
}

static void
check_text(const struct request *request, const struct node *status)
{
	static const char eof[] = "# EOF\n";
	char *text, *line, *end;
	size_t size;

	text = metrics_text(status, &request->choice, &size);
	assert(size > strlen(eof) && text[size - 1] == '\n');
	assert(memchr(text, '\0', size) == NULL);
	assert((memcmp(text + size - strlen(eof), eof, strlen(eof)) == 0) ==
	    request->choice.openmetrics);
	for (line = text; line < text + size; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + size - line));
		check_line(line, (size_t)(end - line));
	}
	free(text);
}

static void
check_answers(const struct request *request, const struct node *node)
{
	const struct web_status whole = {.text = "{}", .size = 2,
	    .node = node}, *status = node == NULL ? NULL : &whole;
	struct answers answers = {.made = NULL};
	struct answer *one, *two;

	one = answer_request(&answers, request, status);
	two = answer_request(&answers, request, status);
	assert(one->code == two->code && one->response != NULL &&
	    two->response != NULL);
	assert(one->code == (status == NULL ? MHD_HTTP_SERVICE_UNAVAILABLE :
	    MHD_HTTP_OK) || (request->choice.channel_count > 0 &&
	    one->code == MHD_HTTP_NOT_FOUND));
	answer_release(one);
	answer_release(two);
	answers_done(&answers);
}

/* The next line without its end, or all the rest; it stays in `text'. */
static char *
part(char **rest)
{
	char *text = *rest == NULL ? NULL : strsep(rest, "\n");
	static char none[] = "";

	return text == NULL ? none : text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = xmalloc(size + 1), *rest = copy;
	struct document *document;
	const struct node *status;
	struct request *request;

	memcpy(copy, data, size);
	copy[size] = '\0';
	query = part(&rest);
	accepted = part(&rest);
	encodings = part(&rest);
	document = rest == NULL ? NULL : document_read(rest,
	    (size_t)(copy + size - rest));
	status = document == NULL ? NULL : document->node;
	request = request_new(NULL, REQUEST_METRICS);
	check_request(request);
	if (request->wrong == NULL) {
		check_text(request, status);
		check_answers(request, status);
	}
	request_free(request);
	document_free(document);
	free(copy);
	return 0;
}
