/* SPDX-License-Identifier: ISC */
/*
 * Messages of a stream.  Tools.
 *
 * They are asked for in batches of a consumer that the server forgets by
 * itself.  What the connection has lost shows in its numbers, or as silence:
 * then another consumer begins behind what was got.
 *
 * Not by natsSubscription_Fetch(): where messages of a late batch wait, that of
 * libnats 3.4.1 writes more of them than were asked for, behind its list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nats_said.h"
#include "common/util.h"
#include "tools/common/fetch.h"
#include "tools/common/stop.h"

#define ERROR_NO_STREAM	10059

/* The longest that anything waits for a server. */
#define ANSWER_MS	5000
#define CONSUMER_MS	2000
/* How long a message is waited for; a signal is seen after that. */
#define BATCH_MS	200
/* How long the server waits for a batch, and we for its word that it has. */
#define BATCH_NS	(2 * NS_PER_S)
#define LATE_NS		NS_PER_S
/* Without any answer: servers of a cluster take some seconds to agree on who
 * goes on after one that is gone. */
#define SILENCE_NS	(15 * NS_PER_S)
/* Of a consumer, until another one is made: it may have gone with a server. */
#define PATIENCE_NS	(2 * NS_PER_S)
#define RETRY_NS	(200 * NS_PER_MS)
/* Until the server forgets a consumer that nobody asks. */
#define FORGET_NS	(60 * NS_PER_S)

static bool
fail(struct fetch *fetch, const char *what, natsStatus status)
{
	snprintf(fetch->why, sizeof(fetch->why), "%s: %s", what,
	    natsStatus_GetText(status));
	return false;
}

/*** Connecting. ***/

/* What is wrong is said once, by who asks. */
static void
on_error(natsConnection *connection ATTR_UNUSED,
    natsSubscription *subscription ATTR_UNUSED, natsStatus status,
    void *closure ATTR_UNUSED)
{
	log_debug("a server says: %s", natsStatus_GetText(status));
}

static bool
set_identity(struct fetch *fetch, natsOptions *options)
{
	const char *user = getenv("NATS_USER"), *file;
	natsStatus status = NATS_OK;

	if (user != NULL)
		status = natsOptions_SetUserInfo(options, user,
		    getenv("NATS_PASSWORD"));
	if (status != NATS_OK)
		return fail(fetch, "NATS_USER", status);
	file = getenv("NATS_CREDS");
	/* libnats would say so when it is asked for it, if at all. */
	if (file != NULL && access(file, R_OK) == -1) {
		snprintf(fetch->why, sizeof(fetch->why), "NATS_CREDS: %s",
		    strerror(errno));
		return false;
	}
	if (file != NULL)
		status = natsOptions_SetUserCredentialsFromFiles(options,
		    file, NULL);
	if (status != NATS_OK)
		return fail(fetch, "NATS_CREDS", status);
	file = getenv("NATS_CA");
	if (file != NULL)
		status = natsOptions_LoadCATrustedCertificates(options, file);
	if (status != NATS_OK)
		return fail(fetch, "NATS_CA", status);
	file = getenv("NATS_CERT");
	if (file != NULL)
		status = natsOptions_LoadCertificatesChain(options, file,
		    getenv("NATS_KEY"));
	if (status != NATS_OK)
		return fail(fetch, "NATS_CERT, NATS_KEY", status);
	return true;
}

static bool
set_options(struct fetch *fetch, natsOptions *options, const char *server)
{
	const bool secure = strncmp(server, "tls://", 6) == 0 ||
	    getenv("NATS_CA") != NULL || getenv("NATS_CERT") != NULL;
	const natsStatus status[] = {
		natsOptions_SetURL(options, server),
		natsOptions_SetName(options, program_invocation_short_name),
		natsOptions_SetSecure(options, secure),
		natsOptions_SetTimeout(options, ANSWER_MS),
		natsOptions_SetReconnectWait(options, BATCH_MS),
		natsOptions_SetPingInterval(options, ANSWER_MS / 2),
		natsOptions_SetMaxPingsOut(options, 1),
		natsOptions_SetErrorHandler(options, on_error, NULL),
	};

	for (size_t i = 0; i < NITEMS(status); i++)
		if (status[i] != NATS_OK)
			return fail(fetch, "libnats", status[i]);
	return set_identity(fetch, options);
}

static bool
fail_connect(struct fetch *fetch, natsStatus status)
{
	const char *said = nats_said(NULL);

	if (said == NULL)
		return fail(fetch, "cannot connect", status);
	snprintf(fetch->why, sizeof(fetch->why), "%s (%s)",
	    natsStatus_GetText(status), said);
	return false;
}

static bool
connect_server(struct fetch *fetch, const char *server)
{
	natsOptions *options = NULL;
	natsStatus status = natsOptions_Create(&options);
	bool good;

	if (status != NATS_OK)
		return fail(fetch, "libnats", status);
	good = set_options(fetch, options, server);
	if (good) {
		status = natsConnection_Connect(&fetch->connection, options);
		good = status == NATS_OK || fail_connect(fetch, status);
	}
	natsOptions_Destroy(options);
	return good;
}

/*** The stream. ***/

static natsStatus
ask_stream(struct fetch *fetch, const char *stream, jsErrCode *error)
{
	jsStreamInfo *info = NULL;
	jsOptions options;
	natsStatus status;

	(void)jsOptions_Init(&options);
	options.Wait = ANSWER_MS;
	*error = 0;
	status = js_GetStreamInfo(&info, fetch->js, stream, &options, error);
	if (status != NATS_OK)
		return status;
	fetch->stream = xstrdup(stream);
	fetch->next = MAX_OF(info->State.FirstSeq, (uint64_t)1);
	fetch->last = info->State.Msgs == 0 ? 0 : info->State.LastSeq;
	jsStreamInfo_Destroy(info);
	return NATS_OK;
}

/* By the name that mcrelay-forwarder gives a channel's, if there is no
 * other. */
static bool
find_stream(struct fetch *fetch, const char *stream)
{
	char *ours = xasprintf("mcrelay-%s", stream);
	jsErrCode error;
	natsStatus status;

	status = ask_stream(fetch, stream, &error);
	if (status == NATS_NOT_FOUND)
		status = ask_stream(fetch, ours, &error);
	if (status == NATS_NOT_FOUND && (error == 0 ||
	    error == ERROR_NO_STREAM))
		snprintf(fetch->why, sizeof(fetch->why), "there is no stream "
		    "%s, and no %s", stream, ours);
	else if (status == NATS_NO_RESPONDERS)
		snprintf(fetch->why, sizeof(fetch->why), "this server has no "
		    "JetStream");
	else if (status != NATS_OK)
		fail(fetch, "the stream cannot be asked for", status);
	free(ours);
	return status == NATS_OK;
}

bool
fetch_open(struct fetch *fetch, const char *server, const char *stream)
{
	natsStatus status;

	memset(fetch, 0, sizeof(*fetch));
	if (!connect_server(fetch, server))
		return false;
	status = natsConnection_JetStream(&fetch->js, fetch->connection,
	    NULL);
	if (status != NATS_OK)
		return fail(fetch, "libnats", status);
	fetch->answered_ns = clock_monotonic_ns();
	return find_stream(fetch, stream);
}

/*** Messages. ***/

/* libnats may just be adding a message to what is destroyed: so that waits for
 * the next time, or for the end of the connection. */
static void
forget_messages(struct fetch *fetch)
{
	natsSubscription_Destroy(fetch->former);
	fetch->former = fetch->messages;
	if (fetch->former != NULL)
		(void)natsSubscription_Unsubscribe(fetch->former);
	fetch->messages = NULL;
	natsInbox_Destroy(fetch->inbox);
	fetch->inbox = NULL;
	free(fetch->consumer);
	fetch->consumer = NULL;
	fetch->wanted = 0;
}

/* How often the connection was lost and made again. */
static uint64_t
reconnects(const struct fetch *fetch)
{
	natsStatistics *statistics = NULL;
	uint64_t count = 0;

	if (natsStatistics_Create(&statistics) == NATS_OK &&
	    natsConnection_GetStats(fetch->connection, statistics) == NATS_OK)
		(void)natsStatistics_GetCounts(statistics, NULL, NULL, NULL,
		    NULL, &count);
	natsStatistics_Destroy(statistics);
	return count;
}

static natsStatus
begin_messages(struct fetch *fetch)
{
	jsConsumerInfo *info = NULL;
	jsConsumerConfig config;
	natsStatus status;
	jsOptions options;

	(void)jsConsumerConfig_Init(&config);
	config.AckPolicy = js_AckNone;
	config.DeliverPolicy = js_DeliverByStartSequence;
	config.OptStartSeq = fetch->next;
	config.InactiveThreshold = FORGET_NS;
	config.Replicas = 1;
	config.MemoryStorage = true;
	(void)jsOptions_Init(&options);
	options.Wait = CONSUMER_MS;
	status = js_AddConsumer(&info, fetch->js, fetch->stream, &config,
	    &options, NULL);
	if (status != NATS_OK)
		return status;
	fetch->consumer = xasprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s",
	    fetch->stream, info->Name);
	jsConsumerInfo_Destroy(info);
	status = natsInbox_Create(&fetch->inbox);
	if (status == NATS_OK)
		status = natsConnection_SubscribeSync(&fetch->messages,
		    fetch->connection, fetch->inbox);
	fetch->delivered = 0;
	fetch->reconnects = reconnects(fetch);
	fetch->asked_ns = clock_monotonic_ns();
	return status;
}

/* Whether it is the one that comes next; if so, what follows is known. */
static bool
take(struct fetch *fetch, natsMsg *message)
{
	jsMsgMetaData *data = NULL;
	bool good;

	if (natsMsg_GetMetaData(&data, message) != NATS_OK)
		return false;
	good = data->Sequence.Consumer == fetch->delivered + 1 &&
	    data->Sequence.Stream >= fetch->next;
	if (good) {
		fetch->delivered++;
		fetch->next = data->Sequence.Stream + 1;
		fetch->behind = data->NumPending == 0;
		fetch->current = message;
	}
	jsMsgMetaData_Destroy(data);
	return good;
}

/* The next batch, when all of the last one has come, or will not. */
static natsStatus
ask(struct fetch *fetch)
{
	const uint64_t now = clock_monotonic_ns();
	char batch[80];

	if (fetch->wanted > 0 && now < fetch->until_ns)
		return NATS_OK;
	fetch->wanted = FETCH_MESSAGES;
	fetch->until_ns = now + BATCH_NS + LATE_NS;
	snprintf(batch, sizeof(batch), "{\"batch\": %u, \"expires\": %ju}",
	    FETCH_MESSAGES, (uintmax_t)BATCH_NS);
	return natsConnection_PublishRequestString(fetch->connection,
	    fetch->consumer, fetch->inbox, batch);
}

static natsStatus
wait_for_one(struct fetch *fetch, natsMsg **message)
{
	natsStatus status = NATS_OK;

	if (fetch->messages == NULL)
		status = begin_messages(fetch);
	if (status == NATS_OK)
		status = ask(fetch);
	return status == NATS_OK ? natsSubscription_NextMsg(message,
	    fetch->messages, BATCH_MS) : status;
}

#define EXPIRED	"408"

/* A server's word has a status and no data: that the time of the batch is over,
 * or something is wrong with the consumer. */
static natsStatus
status_of(natsMsg *message)
{
	const char *text;

	if (natsMsg_GetDataLength(message) != 0 ||
	    natsMsgHeader_Get(message, "Status", &text) != NATS_OK)
		return NATS_OK;
	return strcmp(text, EXPIRED) == 0 ? NATS_TIMEOUT : NATS_ERR;
}

/* After a batch that did not come. */
static enum fetch_status
wait_for_more(struct fetch *fetch, bool follow, natsStatus status)
{
	const uint64_t now = clock_monotonic_ns();
	const bool connected = natsConnection_Status(fetch->connection) ==
	    NATS_CONN_STATUS_CONNECTED;

	/* Silence is what is waited for. */
	if (follow && connected && status == NATS_TIMEOUT)
		fetch->answered_ns = now;
	if (now - fetch->answered_ns > SILENCE_NS ||
	    status == NATS_CONNECTION_CLOSED) {
		fail(fetch, connected ? "the server sends nothing more" :
		    "the connection is lost, and no server answers", status);
		return FETCH_FAILED;
	}
	if (status == NATS_TIMEOUT && fetch->reconnects ==
	    reconnects(fetch) && (follow || now - fetch->asked_ns <=
	    PATIENCE_NS))
		return FETCH_NOTHING;
	forget_messages(fetch);
	stop_sleep_until(now + RETRY_NS);
	return FETCH_NOTHING;
}

enum fetch_status
fetch_next(struct fetch *fetch, bool follow)
{
	natsMsg *message = NULL;
	natsStatus status;

	natsMsg_Destroy(fetch->current);
	fetch->current = NULL;
	if (!follow && (fetch->next > fetch->last || fetch->behind))
		return FETCH_END;
	status = wait_for_one(fetch, &message);
	if (status == NATS_OK) {
		status = status_of(message);
		if (status != NATS_OK)
			fetch->wanted = 0;
	}
	if (status != NATS_OK) {
		natsMsg_Destroy(message);
		return wait_for_more(fetch, follow, status);
	}
	fetch->answered_ns = fetch->asked_ns = clock_monotonic_ns();
	if (fetch->wanted > 0)
		fetch->wanted--;
	if (take(fetch, message))
		return FETCH_MESSAGE;
	/* Some were lost on the way. */
	natsMsg_Destroy(message);
	forget_messages(fetch);
	return FETCH_NOTHING;
}

bool
fetch_one(struct fetch *fetch, uint64_t number, natsMsg **message)
{
	jsOptions options;
	natsStatus status;

	*message = NULL;
	(void)jsOptions_Init(&options);
	options.Wait = ANSWER_MS;
	status = js_GetMsg(message, fetch->js, fetch->stream, number, &options,
	    NULL);
	return status == NATS_OK || status == NATS_NOT_FOUND;
}

void
fetch_close(struct fetch *fetch)
{
	natsMsg_Destroy(fetch->current);
	natsConnection_Close(fetch->connection);
	forget_messages(fetch);
	natsSubscription_Destroy(fetch->former);
	jsCtx_Destroy(fetch->js);
	natsConnection_Destroy(fetch->connection);
	free(fetch->stream);
	nats_Close();
}
