/* SPDX-License-Identifier: ISC */
/*
 * What servers say to a channel's messages.  mcrelay-forwarder, a lane.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/stream.h"

/* Error codes of a server. */
#define ERROR_LAST		10071
#define ERROR_STORE		10077	/* in words, why not */
/* Limits: of the account, the server, the disk, a message's size. */
static const json_int_t	refusals[] = {10002, 10023, 10047, 10054};

static bool
is_refusal(json_int_t code, const char *text)
{
	size_t i;

	for (i = 0; i < NITEMS(refusals); i++)
		if (code == refusals[i])
			return true;
	return code == ERROR_STORE && strstr(text, "maximum") != NULL;
}

/* Which message this is the answer to, since the end was asked for. */
static bool
number_of(const struct stream *stream, natsMsg *message, uint64_t *number)
{
	const char *subject = natsMsg_GetSubject(message);
	const char *dot = strrchr(subject, '.');

	*number = dot == NULL ? UINT64_MAX : strtoull(dot + 1, NULL, 10);
	return *number < stream->sent;
}

/* What a server alone says its count is, in words only, to a message with
 * nothing on its way before it. */
static void
note_count(struct stream *stream, natsMsg *message, const char *text)
{
	static const char words[] = "wrong last sequence: ";
	uint64_t number;

	if (!stream->alone || stream->stored > 0 ||
	    !number_of(stream, message, &number) || number > 0 ||
	    strncmp(text, words, sizeof(words) - 1) != 0)
		return;
	stream->counted = strtoull(text + sizeof(words) - 1, NULL, 10);
	stream->counted_at = stream->last;
}

static enum stream_status
read_error(struct stream *stream, natsMsg *message, const json_t *error)
{
	static struct log_limit limit;
	const json_int_t code = json_integer_value(json_object_get(error,
	    "err_code"));
	const char *text = json_string_value(json_object_get(error,
	    "description"));

	if (text == NULL)
		text = "an error without words";
	log_debug("channel %s: a server says: %s (%d)", stream->lane->name,
	    text, (int)code);
	if (code == ERROR_LAST)
		note_count(stream, message, text);
	if (!is_refusal(code, text))
		return STREAM_AGAIN;
	log_limited(&limit, "channel %s: stream %s takes no more: %s; what "
	    "comes waits in the archive, for as long as that keeps it",
	    stream->lane->name, stream->lane->stream, text);
	return STREAM_FULL;
}

/* What nearly all say: {"stream":"NAME","seq":NUMBER}.  In a name that has
 * quotes these come with a backslash.  False: it is to be read as a whole. */
static bool
sequence_in(natsMsg *message, uint64_t *sequence)
{
	static const char key[] = "\"seq\":";
	const char *data = natsMsg_GetData(message), *at;
	const char *end = data + natsMsg_GetDataLength(message);

	if (memmem(data, (size_t)(end - data), "\"error\"", 7) != NULL)
		return false;
	at = memmem(data, (size_t)(end - data), key, sizeof(key) - 1);
	if (at == NULL)
		return false;
	*sequence = 0;
	for (at += sizeof(key) - 1; at < end && *at >= '0' && *at <= '9'; at++)
		*sequence = 10 * *sequence + (uint64_t)(*at - '0');
	return at < end && (*at == '}' || *at == ',');
}

/* What is stored with a message, and before it. */
static void
count_stored(struct stream *stream, uint64_t number, struct sent *done,
    uint64_t *messages)
{
	const struct sent *next;

	while (stream->stored <= number) {
		next = &stream->way[stream->stored % STREAM_MESSAGES];
		done->records += next->records;
		done->bytes += next->bytes;
		done->given = next->given;
		done->end = next->end;
		(*messages)++;
		stream->bytes -= next->bytes;
		stream->stored++;
	}
}

/* Whether that is what was to be stored there. */
static enum stream_status
take_sequence(const struct stream *stream, natsMsg *message, uint64_t sequence,
    uint64_t *number)
{
	return number_of(stream, message, number) &&
	    sequence == stream->last + *number + 1 ? STREAM_GOOD :
	    STREAM_AGAIN;
}

static enum stream_status
read_answer(struct stream *stream, natsMsg *message, uint64_t *number)
{
	enum stream_status result;
	const json_t *error;
	uint64_t sequence;
	json_t *root;

	if (sequence_in(message, &sequence))
		return take_sequence(stream, message, sequence, number);
	root = json_loadb(natsMsg_GetData(message),
	    (size_t)natsMsg_GetDataLength(message), 0, NULL);
	error = json_object_get(root, "error");
	if (error != NULL)
		result = read_error(stream, message, error);
	else
		result = take_sequence(stream, message, (uint64_t)
		    json_integer_value(json_object_get(root, "seq")), number);
	json_decref(root);
	return result;
}

enum stream_status
stream_answer(struct stream *stream, int64_t ms, struct sent *done,
    uint64_t *messages)
{
	const uint64_t now = clock_monotonic_ns();
	enum stream_status result;
	natsMsg *message = NULL;
	natsStatus status;
	uint64_t number;

	*messages = 0;
	memset(done, 0, sizeof(*done));
	status = natsSubscription_NextMsg(&message, stream->answers, ms);
	if (status == NATS_TIMEOUT)
		return stream->sent > stream->stored &&
		    now - stream->answered_ns > ANSWER_MS * NS_PER_MS ?
		    STREAM_AGAIN : STREAM_NOTHING;
	/* Also when nobody is there who could store it. */
	if (status != NATS_OK)
		return STREAM_AGAIN;
	stream->answered_ns = now;
	result = read_answer(stream, message, &number);
	natsMsg_Destroy(message);
	if (result == STREAM_GOOD)
		count_stored(stream, number, done, messages);
	return result;
}
