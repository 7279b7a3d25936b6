/* SPDX-License-Identifier: ISC */
/*
 * The connection to one of the servers.  libnats keeps it up: it tries them one
 * after the other, for ever.
 */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nats_said.h"
#include "common/util.h"
#include "forwarder/forwarder.h"

/* Between two attempts, for each server. */
#define RETRY_MS	500
/* Until a server that does not answer is given up. */
#define PING_MS		2000

/* Of archives. */
static natsConnection	*connection;

natsConnection *
link_get(void)
{
	return connection;
}

const char *
link_why(natsStatus status)
{
	natsStatus last = NATS_OK;
	const char *said = nats_said(&last);

	return status == NATS_ERR && last == status && said != NULL ? said :
	    natsStatus_GetText(status);
}

bool
link_is_up(void)
{
	return natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED;
}

/* Who it is, without a password that its address may have. */
static const char *
server_name(natsConnection *nc, char *text, size_t size)
{
	const char *at;

	if (natsConnection_GetConnectedUrl(nc, text, size) != NATS_OK)
		return "a server";
	at = strrchr(text, '@');
	return at != NULL ? at + 1 : text;
}

static void
on_connected(natsConnection *nc, void *closure)
{
	char text[256];

	if (closure != &connection)
		return;
	if (page != NULL)
		atomic_fetch_add_explicit(&page->connects, 1,
		    memory_order_relaxed);
	log_info("connected to %s", server_name(nc, text, sizeof(text)));
}

static void
on_disconnected(natsConnection *nc, void *closure)
{
	const char *why = NULL;

	if (closure != &connection)
		return;
	(void)natsConnection_GetLastError(nc, &why);
	log_warnx("the connection is lost%s%s: tried again; %s",
	    why != NULL && *why != '\0' ? ": " : "", why != NULL ? why : "",
	    spec.lease_ns != 0 ? "another host may take what this one relays" :
	    "what comes meanwhile waits in the archives");
}

/* After it was refused by a server twice: mcrelayd starts another, at growing
 * distance. */
static void
on_closed(natsConnection *nc, void *closure ATTR_UNUSED)
{
	const char *why = NULL;

	(void)natsConnection_GetLastError(nc, &why);
	log_warnx("the servers refuse us%s%s: check `credentials' and `tls'",
	    why != NULL && *why != '\0' ? ": " : "", why != NULL ? why : "");
	_exit(1);
}

static void
on_error(natsConnection *nc ATTR_UNUSED,
    natsSubscription *subscription ATTR_UNUSED, natsStatus error,
    void *closure ATTR_UNUSED)
{
	static struct log_limit limit;

	log_limited(&limit, "a server says: %s", natsStatus_GetText(error));
}

static natsStatus
set_identity(natsOptions *options)
{
	natsStatus status = NATS_OK;

	if (spec.credentials != NULL)
		status = natsOptions_SetUserCredentialsFromFiles(options,
		    spec.credentials, NULL);
	if (status == NATS_OK && spec.tls)
		status = natsOptions_SetSecure(options, true);
	if (status == NATS_OK && spec.ca != NULL)
		status = natsOptions_LoadCATrustedCertificates(options,
		    spec.ca);
	if (status == NATS_OK && spec.certificate != NULL)
		status = natsOptions_LoadCertificatesChain(options,
		    spec.certificate, spec.key);
	return status;
}

/* A lease is over sooner than an archive is missed. */
static int64_t
short_of(int64_t ms)
{
	int64_t third = (int64_t)(spec.lease_ns / 3 / NS_PER_MS);

	return third != 0 && third < ms ? third : ms;
}

static natsStatus
set_manners(natsOptions *options, const char *name, void *closure)
{
	const natsStatus status[] = {
		natsOptions_SetServers(options, spec.server, spec.servers),
		natsOptions_SetName(options, name),
		natsOptions_SetTimeout(options, short_of(ANSWER_MS)),
		natsOptions_SetMaxReconnect(options, INT_MAX),
		natsOptions_SetReconnectWait(options, short_of(RETRY_MS)),
		natsOptions_SetPingInterval(options, short_of(PING_MS)),
		natsOptions_SetMaxPingsOut(options, 2),
		natsOptions_SetWriteDeadline(options,
		    short_of(ANSWER_MS)),
		natsOptions_SetRetryOnFailedConnect(options, true,
		    on_connected, closure),
		natsOptions_SetReconnectedCB(options, on_connected, closure),
		natsOptions_SetDisconnectedCB(options, on_disconnected,
		    closure),
		natsOptions_SetClosedCB(options, on_closed, NULL),
		natsOptions_SetErrorHandler(options, on_error, NULL),
	};
	size_t i;

	for (i = 0; i < NITEMS(status); i++)
		if (status[i] != NATS_OK)
			return status[i];
	return NATS_OK;
}

/* `closure' is &connection for that one. */
static void
start(natsConnection **nc, const char *name, void *closure)
{
	natsOptions *options = NULL;
	natsStatus status = natsOptions_Create(&options);

	if (status == NATS_OK)
		status = set_manners(options, name, closure);
	if (status == NATS_OK)
		status = set_identity(options);
	if (status != NATS_OK)
		fatalx("libnats: %s%s", natsStatus_GetText(status),
		    spec.tls || spec.credentials != NULL ?
		    ": can this process read the files of `tls' and "
		    "`credentials'?" : "");
	status = natsConnection_Connect(nc, options);
	natsOptions_Destroy(options);
	if (status == NATS_OK)
		on_connected(*nc, closure);
	else if (status != NATS_NOT_YET_CONNECTED)
		fatalx("libnats: %s", natsStatus_GetText(status));
	else if (closure != NULL)
		log_warnx("no server answers yet: tried again");
}

void
link_start(void)
{
	start(&connection, FORWARDER_PROGRAM, &connection);
}

natsConnection *
link_another(const char *name)
{
	natsConnection *another = NULL;

	start(&another, name, NULL);
	return another;
}
