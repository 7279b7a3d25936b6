/* SPDX-License-Identifier: ISC */
/*
 * Who is connected.  See connections.h.  mcrelay-web only.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "web/connections.h"

static LIST_HEAD(, connection)	all = LIST_HEAD_INITIALIZER(all);

/* One of this host is behind no other. */
static bool
is_near(const uint8_t client[static CONFIG_ADDRESS_SIZE])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct in6_addr *in6 = (const void *)client;

	return IN6_IS_ADDR_UNSPECIFIED(in6) || IN6_IS_ADDR_LOOPBACK(in6) ||
	    (memcmp(client, mapped, sizeof(mapped)) == 0 &&
	    client[12] == IN_LOOPBACKNET);
}

bool
connections_allow(const struct sockaddr *sa)
{
	uint8_t client[CONFIG_ADDRESS_SIZE];
	const struct connection *each;
	unsigned count = 0;

	config_address(sa, client);
	if (is_near(client))
		return true;
	config_client(sa, client);
	LIST_FOREACH(each, &all, link)
		count += memcmp(each->client, client, sizeof(client)) == 0;
	return count < CONNECTIONS_EACH;
}

struct connection *
connection_new(int fd, const struct sockaddr *sa)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));

	connection->fd = fd;
	config_client(sa, connection->client);
	connection->deadline_ns = clock_monotonic_ns() + CONNECTION_NS;
	LIST_INSERT_HEAD(&all, connection, link);
	return connection;
}

void
connection_free(struct connection *connection)
{
	if (connection != NULL)
		LIST_REMOVE(connection, link);
	free(connection);
}

bool
connections_none(void)
{
	return LIST_EMPTY(&all);
}

bool
connections_expected(void)
{
	const struct connection *each;

	LIST_FOREACH(each, &all, link)
		if (each->deadline_ns != 0 && (!each->asked ||
		    each->auth != NULL))
			return true;
	return false;
}

/* Half a request, and no more to come: libmicrohttpd, which waits for what is
 * new, does not see an end that came together with it. */
static bool
has_left(const struct connection *connection)
{
	char byte;

	return !connection->asked && recv(connection->fd, &byte, 1,
	    MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* It finds that they can neither be read nor written. */
void
connections_end_overdue(uint64_t now_ns)
{
	struct connection *connection;

	LIST_FOREACH(connection, &all, link)
		if (connection->deadline_ns != 0 &&
		    (now_ns >= connection->deadline_ns ||
		    has_left(connection))) {
			connection->deadline_ns = 0;
			(void)shutdown(connection->fd, SHUT_RDWR);
		}
}
