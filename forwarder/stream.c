/* SPDX-License-Identifier: ISC */
/*
 * A channel's stream on the servers.  mcrelay-forwarder.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/account.h"
#include "forwarder/headers.h"
#include "forwarder/stream.h"

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
	    link_why(status), (int)error);
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

/* None is there behind that one. */
static void
note_missing(struct stream *stream, uint64_t number)
{
	stream->missing_from = number + 1;
	stream->missing_to = stream->last;
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
	uint64_t number = stream->last, begun_ns;
	natsStatus status = js_GetLastMsg(message, stream->js, name,
	    stream->lane->subject, options, error);

	if (status != NATS_NOT_FOUND || first == 0)
		return status;
	begun_ns = clock_monotonic_ns();
	while (status == NATS_NOT_FOUND && number >= first) {
		if (number == stream->missing_to)
			number = stream->missing_from - 1;
		/* Who takes longer is held for one that hangs. */
		if (clock_monotonic_ns() - begun_ns > ANSWER_MS * NS_PER_MS) {
			note_missing(stream, number);
			return NATS_TIMEOUT;
		}
		status = js_GetMsg(message, stream->js, name, number--,
		    options, error);
	}
	if (status == NATS_OK)
		note_missing(stream, natsMsg_GetSequence(*message));
	return status;
}

/*
 * A server alone that has counted what it refused (2.10.27 does until it is
 * restarted) goes by its count, which only its refusal of another one tells.
 * Nothing has been stored since, or the end would be another one: so it is no
 * message of the process before that has come late.
 */
static void
take_count(struct stream *stream)
{
	if (stream->counted_at == stream->last)
		stream->ahead = stream->counted - stream->last;
	stream->counted_at = UINT64_MAX;
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
	    error == JSStreamNotFoundErr)) {
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
		stream->missing_from = stream->missing_to = stream->ahead = 0;
	stream->created = info->Created;
	result = is_ours(stream, info) ? STREAM_GOOD : STREAM_FOREIGN;
	jsStreamInfo_Destroy(info);
	if (result != STREAM_GOOD)
		return result;
	status = get_last(stream, &message, first, options, &error);
	if (status == NATS_NOT_FOUND && first == 0) {
		take_count(stream);
		return STREAM_GOOD;
	}
	if (status != NATS_OK) {
		log_error(stream, "its end cannot be read", status, error);
		return STREAM_AGAIN;
	}
	stream->last = MAX_OF(stream->last, natsMsg_GetSequence(message));
	take_count(stream);
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

/*
 * What is on its way before it is named, not only counted: of a forwarder that
 * has ended, messages may still come, and what they say is to be before them
 * can have been sent anew in other pieces, when a worker was killed before it
 * had noted a block.  The first one of all is behind what both have read.
 */
static struct predecessor
predecessor(struct stream *stream)
{
	const struct sent *before;
	struct predecessor found = {.number = stream->last + stream->sent,
	    .ahead = stream->ahead, .by_subject = is_guarded(stream)};

	if (stream->sent > stream->stored) {
		before = &stream->way[(stream->sent - 1) % STREAM_MESSAGES];
		found.stem = before->end.stem;
		found.records = before->records;
		found.first_record = before->end.records - before->records;
	}
	return found;
}

enum stream_status
stream_send(struct stream *stream, const struct piece *piece, bool more)
{
	const struct predecessor before = predecessor(stream);
	char reply[sizeof(stream->inbox) + 24];
	natsMsg *message = NULL;
	bool good;

	snprintf(reply, sizeof(reply), "%s.%" PRIu64, stream->inbox,
	    stream->sent);
	headers_compose(&stream->headers, stream->lane, piece, &before);
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

void
stream_init(struct stream *stream, const struct lane_spec *lane)
{
	memset(stream, 0, sizeof(*stream));
	stream->lane = lane;
	stream->counted_at = UINT64_MAX;
}
