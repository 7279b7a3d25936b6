/* SPDX-License-Identifier: ISC */
/*
 * A channel's stream on the servers.  mcrelay-forwarder.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/account.h"
#include "forwarder/headers.h"
#include "forwarder/stream.h"

/* Error codes of a server. */
#define ERROR_NO_STREAM		10059
#define ERROR_STORE		10077	/* in words, why not */
/* Limits: of the account, the server, the disk, a message's size. */
static const json_int_t	refusals[] = {10002, 10023, 10047, 10054};

/*** Making it. ***/

/* Nothing of it is changed when it exists: it may be an operator's. */
static natsStatus
make(struct stream *stream, jsOptions *options, jsErrCode *error)
{
	const char *subject = stream->lane->subject;
	jsStreamConfig config;

	(void)jsStreamConfig_Init(&config);
	config.Name = stream->lane->stream;
	config.Subjects = &subject;
	config.SubjectsLen = 1;
	config.Storage = js_FileStorage;
	/* An old message would go without anybody's knowing. */
	config.Discard = js_DiscardNew;
	config.Replicas = spec.replicas;
	config.MaxAge = spec.age_ns;
	if (spec.size > 0)
		config.MaxBytes = spec.size;
	if (spec.messages > 0)
		config.MaxMsgs = spec.messages;
	return js_AddStream(NULL, stream->js, &config, options, error);
}

/* Whether nobody else writes to it. */
static bool
is_ours(const struct stream *stream, const jsStreamInfo *info)
{
	static struct log_limit limit;
	const jsStreamConfig *config = info->Config;

	if (config->SubjectsLen == 1 && strcmp(config->Subjects[0],
	    stream->lane->subject) == 0)
		return true;
	log_limited(&limit, "channel %s: stream %s is not for the subject %s "
	    "alone: nothing is forwarded to it; give this host another one "
	    "(`stream', with {host} in it)", stream->lane->name,
	    stream->lane->stream, stream->lane->subject);
	return false;
}

static void
log_error(const struct stream *stream, const char *what, natsStatus status,
    jsErrCode error)
{
	log_warnx("channel %s: stream %s: %s: %s (%d), tried again",
	    stream->lane->name, stream->lane->stream, what,
	    natsStatus_GetText(status), (int)error);
}

/*** Its end. ***/

static void
forget(struct stream *stream)
{
	natsSubscription_Destroy(stream->answers);
	stream->answers = NULL;
	stream->sent = stream->stored = stream->bytes = 0;
	stream->unasked = stream->unasked_bytes = 0;
	stream->account_ns = 0;
}

/* Of another epoch, answers go to nobody. */
static bool
listen_anew(struct stream *stream)
{
	natsInbox *inbox = NULL;
	char subject[sizeof(stream->inbox) + 2];
	bool good;

	if (natsInbox_Create(&inbox) != NATS_OK)
		return false;
	snprintf(stream->inbox, sizeof(stream->inbox), "%s", inbox);
	natsInbox_Destroy(inbox);
	snprintf(subject, sizeof(subject), "%s.*", stream->inbox);
	good = natsConnection_SubscribeSync(&stream->answers, link_get(),
	    subject) == NATS_OK;
	stream->answered_ns = clock_monotonic_ns();
	return good;
}

static bool
header_number(natsMsg *message, const char *key, uint64_t *number)
{
	const char *text;
	char *end;

	if (natsMsgHeader_Get(message, key, &text) != NATS_OK)
		return false;
	*number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0';
}

static enum stream_status
read_end(const struct stream *stream, natsMsg *message,
    struct stream_end *end)
{
	static struct log_limit limit;
	struct archive_name name;
	uint64_t first, records;
	const char *stem;

	if (natsMsgHeader_Get(message, "Mcrelay-File", &stem) == NATS_OK &&
	    archive_name_parse(stem, stream->lane->name, &name) &&
	    strlen(stem) < sizeof(end->stem) &&
	    header_number(message, "Mcrelay-First-Record", &first) &&
	    header_number(message, "Mcrelay-Records", &records)) {
		snprintf(end->stem, sizeof(end->stem), "%s", stem);
		end->records = first + records;
		return STREAM_GOOD;
	}
	log_limited(&limit, "channel %s: the last message of stream %s is not "
	    "one of this channel's: nothing is forwarded to it",
	    stream->lane->name, stream->lane->stream);
	return STREAM_FOREIGN;
}

/*
 * A server may have forgotten which one its subject's last is when it refused
 * another one that it had counted, and it counts each attempt.  What was found
 * to be missing stays so.
 */
static natsStatus
get_last(struct stream *stream, natsMsg **message, uint64_t first,
    jsOptions *options, jsErrCode *error)
{
	const char *name = stream->lane->stream;
	uint64_t number = stream->last;
	natsStatus status = js_GetLastMsg(message, stream->js, name,
	    stream->lane->subject, options, error);

	if (status != NATS_NOT_FOUND || first == 0)
		return status;
	while (status == NATS_NOT_FOUND && number >= first) {
		if (number == stream->missing_to)
			number = stream->missing_from - 1;
		status = js_GetMsg(message, stream->js, name, number--,
		    options, error);
	}
	if (status == NATS_OK) {
		stream->missing_from = natsMsg_GetSequence(*message) + 1;
		stream->missing_to = stream->last;
	}
	return status;
}

/* The number of the last message, and what it is. */
static enum stream_status
find_end(struct stream *stream, jsOptions *options, struct stream_end *end)
{
	enum stream_status result;
	jsStreamInfo *info = NULL;
	natsMsg *message = NULL;
	natsStatus status;
	jsErrCode error = 0;
	uint64_t first;

	status = js_GetStreamInfo(&info, stream->js, stream->lane->stream,
	    options, &error);
	if (status == NATS_NOT_FOUND && (error == 0 ||
	    error == ERROR_NO_STREAM)) {
		status = make(stream, options, &error);
		if (status == NATS_OK)
			status = js_GetStreamInfo(&info, stream->js,
			    stream->lane->stream, options, &error);
	}
	if (status != NATS_OK) {
		log_error(stream, "cannot be asked or made", status, error);
		return STREAM_AGAIN;
	}
	stream->last = info->State.LastSeq;
	first = info->State.Msgs == 0 ? 0 : info->State.FirstSeq;
	stream->alone = info->Config->Replicas <= 1;
	if (info->Created != stream->created)
		stream->missing_from = stream->missing_to = 0;
	stream->created = info->Created;
	result = is_ours(stream, info) ? STREAM_GOOD : STREAM_FOREIGN;
	jsStreamInfo_Destroy(info);
	if (result != STREAM_GOOD)
		return result;
	status = get_last(stream, &message, first, options, &error);
	if (status == NATS_NOT_FOUND && first == 0)
		return STREAM_GOOD;
	if (status != NATS_OK) {
		log_error(stream, "its end cannot be read", status, error);
		return STREAM_AGAIN;
	}
	stream->last = MAX_OF(stream->last, natsMsg_GetSequence(message));
	result = read_end(stream, message, end);
	natsMsg_Destroy(message);
	return result;
}

enum stream_status
stream_ask(struct stream *stream, struct stream_end *end)
{
	jsOptions options;

	memset(end, 0, sizeof(*end));
	forget(stream);
	(void)jsOptions_Init(&options);
	options.Wait = ANSWER_MS;
	if (stream->js == NULL && natsConnection_JetStream(&stream->js,
	    link_get(), &options) != NATS_OK)
		return STREAM_AGAIN;
	if (!listen_anew(stream))
		return STREAM_AGAIN;
	return find_end(stream, &options, end);
}

/*** Sending. ***/

size_t
stream_max(const struct stream *stream ATTR_UNUSED)
{
	int64_t max = natsConnection_GetMaxPayload(link_get());

	return max <= (int64_t)HEADERS_SIZE ? HEADERS_SIZE :
	    (size_t)max - HEADERS_SIZE;
}

bool
stream_has_room(const struct stream *stream)
{
	return stream->sent - stream->stored < STREAM_MESSAGES &&
	    stream->bytes < STREAM_BYTES;
}

bool
stream_is_crowded(const struct stream *stream)
{
	return stream->sent - stream->stored > STREAM_MESSAGES / 2;
}

bool
stream_set_number(natsMsg *message, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return natsMsgHeader_Set(message, key, text) == NATS_OK;
}

static void
note_sent(struct stream *stream, const struct piece *piece)
{
	struct sent *sent = &stream->way[stream->sent++ % STREAM_MESSAGES];

	*sent = (struct sent){.records = piece->records,
	    .bytes = piece->size, .given = piece->given};
	memcpy(sent->end.stem, piece->stem, strlen(piece->stem) + 1);
	sent->end.records = piece->first_record + piece->records;
}

/* Whether a server is to answer. */
static bool
is_asked(struct stream *stream, const struct piece *piece, bool more)
{
	const bool asked = !more || stream->sent == 0 ||
	    ++stream->unasked >= STREAM_ASKED ||
	    (stream->unasked_bytes += piece->size) >= STREAM_ASKED_BYTES;

	if (asked)
		stream->unasked = stream->unasked_bytes = 0;
	return asked;
}

/* Who does not know it does not ask again before the end is asked for. */
static void
look_at_account(struct stream *stream)
{
	const uint64_t now = clock_monotonic_ns();
	jsOptions options;

	if (!stream->alone || (stream->account_ns != 0 &&
	    (stream->account_ns > now ||
	    now - stream->account_ns < ACCOUNT_ASK_NS)))
		return;
	(void)jsOptions_Init(&options);
	options.Wait = ANSWER_MS;
	stream->account_ns = account_is_near(stream->js, &options,
	    &stream->guarded) ? clock_monotonic_ns() : UINT64_MAX;
}

/* The first one has nothing on its way before it, and a server that has refused
 * another before may no longer know what the last one is. */
static bool
is_guarded(struct stream *stream)
{
	look_at_account(stream);
	return stream->alone && stream->guarded && stream->sent > 0;
}

enum stream_status
stream_send(struct stream *stream, const struct piece *piece, bool more)
{
	char reply[sizeof(stream->inbox) + 24];
	natsMsg *message = NULL;
	bool good;

	snprintf(reply, sizeof(reply), "%s.%" PRIu64, stream->inbox,
	    stream->sent);
	headers_compose(&stream->headers, stream->lane, piece, stream->last +
	    stream->sent, is_guarded(stream));
	good = natsMsg_Create(&message, stream->lane->subject,
	    is_asked(stream, piece, more) ? reply : NULL, piece->data,
	    (int)piece->size) == NATS_OK &&
	    headers_set(message, &stream->headers, headers_can_join()) &&
	    natsConnection_PublishMsg(link_get(), message) == NATS_OK;
	natsMsg_Destroy(message);
	if (!good)
		return STREAM_AGAIN;
	if (stream->sent == stream->stored)
		stream->answered_ns = clock_monotonic_ns();
	note_sent(stream, piece);
	stream->bytes += piece->size;
	return STREAM_GOOD;
}

/*** Answers. ***/

static bool
is_refusal(json_int_t code, const char *text)
{
	size_t i;

	for (i = 0; i < NITEMS(refusals); i++)
		if (code == refusals[i])
			return true;
	return code == ERROR_STORE && strstr(text, "maximum") != NULL;
}

static enum stream_status
read_error(const struct stream *stream, const json_t *error)
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
	if (!is_refusal(code, text))
		return STREAM_AGAIN;
	log_limited(&limit, "channel %s: stream %s takes no more: %s; what "
	    "comes waits in the archive, for as long as that keeps it",
	    stream->lane->name, stream->lane->stream, text);
	return STREAM_FULL;
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
read_answer(const struct stream *stream, natsMsg *message, uint64_t *number)
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
		result = read_error(stream, error);
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

void
stream_init(struct stream *stream, const struct lane_spec *lane)
{
	memset(stream, 0, sizeof(*stream));
	stream->lane = lane;
}
