/* SPDX-License-Identifier: ISC */
/*
 * The sockets that the supervisor opens: what the kernel says their options
 * are, and what they receive on loopback.
 */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "supervisor/sockets.h"

/* What an input is asked for. */
#ifdef HAVE_LINUX
#define SO_TIMES	SO_TIMESTAMPNS
#define COALESCES	1
#else
#define SO_TIMES	SO_TIMESTAMP
#define COALESCES	0
#endif
#define DEADLINE_MS	10000

static struct sockaddr_storage
address_of(const char *text, uint16_t port)
{
	struct sockaddr_storage address = {.ss_family = AF_INET};
	struct sockaddr_in6 *in6 = (void *)&address;
	struct sockaddr_in *in = (void *)&address;

	in->sin_port = htons(port);
	if (strchr(text, ':') == NULL) {
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
		return address;
	}
	address.ss_family = AF_INET6;
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	return address;
}

/* Where IPv6 is off the rest of a test is left out. */
static void
need_v6(void)
{
	struct sockaddr_storage address = address_of("::1", 0);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool there = fd != -1 && bind(fd, (void *)&address,
	    sizeof(struct sockaddr_in6)) == 0;

	if (fd != -1)
		close(fd);
	if (there)
		return;
	print_message("needs IPv6, at least ::1\n");
	skip();
}

static struct listen_config
listen_on(const char *text, uint16_t port, const char *interface)
{
	struct listen_config listen = {.sources = 0};

	listen.address = address_of(text, port);
	snprintf(listen.interface, sizeof(listen.interface), "%s", interface);
	return listen;
}

static struct destination_conf
send_to(const char *text, uint16_t port, const char *interface)
{
	struct destination_conf to = {.ttl = 3, .loop = true};

	to.address = address_of(text, port);
	snprintf(to.interface, sizeof(to.interface), "%s", interface);
	return to;
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(fd, (void *)&address, &size), 0);
	/* At the same place for both families. */
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int
open_input(const struct listen_config *listen)
{
	const char *what;
	int fd = sockets_input(listen, &what);

	assert_int_not_equal(fd, -1);
	assert_int_equal(sockets_bind(fd, listen, &what), 0);
	return fd;
}

static int
open_output(const struct destination_conf *to)
{
	const char *what;
	int fd = sockets_output(to, &what);

	assert_int_not_equal(fd, -1);
	return fd;
}

static bool
wait_readable(int fd, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, ms) == 1;
}

static void
input_has_its_options(void **state ATTR_UNUSED)
{
	struct listen_config listen = listen_on("127.0.0.1", 0, "");
	int fd = open_input(&listen);

	assert_int_equal(option(fd, IPPROTO_IP, IP_MULTICAST_ALL), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_TIMES), 1);
	assert_int_equal(option(fd, IPPROTO_UDP, UDP_GRO), COALESCES);
	assert_int_equal(sockets_receive_buffer(fd, 65536), 65536);
	close(fd);
	need_v6();
	listen = listen_on("::1", 0, "");
	fd = open_input(&listen);
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}

static void
interface_is_named(void **state ATTR_UNUSED)
{
	struct listen_config listen = listen_on("127.0.0.1", 0, "nosuch0");
	struct destination_conf to = send_to("239.192.3.4", 9, "nosuch0");
	const char *what;

	int fd = sockets_input(&listen, &what);

	assert_int_not_equal(fd, -1);
	assert_int_equal(sockets_bind(fd, &listen, &what), -1);
	assert_int_equal(errno, ENODEV);
	close(fd);
	assert_string_equal(what, "receive on the interface");
	assert_int_equal(sockets_output(&to, &what), -1);
	assert_int_equal(errno, ENODEV);
	assert_string_equal(what, "find the interface");
}

/* The interface is in force on the connected socket, not only set. */
static void
group_goes_out_where_told(void **state ATTR_UNUSED)
{
	struct destination_conf to = send_to("239.192.77.1", 0, "lo");
	struct listen_config listen = listen_on("239.192.77.1", 0, "lo");
	int in = open_input(&listen), out;
	struct sockaddr_in *sin = (void *)&to.address;
	char text[8];

	sin->sin_port = htons(port_of(in));
	out = open_output(&to);
	assert_int_equal(option(out, IPPROTO_IP, IP_MULTICAST_TTL), 3);
	assert_int_equal(option(out, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
	assert_int_equal(send(out, "hello", 5, 0), 5);
	assert_true(wait_readable(in, DEADLINE_MS));
	assert_int_equal(recv(in, text, sizeof(text), 0), 5);
	close(in);
	close(out);
}

/* What another socket on this host has joined is not for a wildcard input. */
static void
wildcard_hears_no_group(void **state ATTR_UNUSED)
{
	struct listen_config wildcard = listen_on("0.0.0.0", 0, "");
	struct listen_config group = listen_on("239.192.77.2", 0, "lo");
	struct destination_conf to = send_to("239.192.77.2", 0, "lo");
	struct destination_conf direct = send_to("127.0.0.1", 0, "");
	int in = open_input(&wildcard), other, out, unicast;
	uint16_t port = port_of(in);
	char text[8];

	((struct sockaddr_in *)&to.address)->sin_port = htons(port);
	((struct sockaddr_in *)&direct.address)->sin_port = htons(port);
	other = open_input(&group);
	out = open_output(&to);
	unicast = open_output(&direct);
	assert_int_equal(send(out, "group", 5, 0), 5);
	assert_int_equal(send(unicast, "me", 2, 0), 2);
	assert_true(wait_readable(in, DEADLINE_MS));
	/* The second, though the first was sent before it. */
	assert_int_equal(recv(in, text, sizeof(text), 0), 2);
	assert_int_equal(recv(in, text, sizeof(text), 0), -1);
	close(in);
	close(other);
	close(out);
	close(unicast);
}

static void
only_named_sources_are_joined(void **state ATTR_UNUSED)
{
	struct listen_config good = listen_on("239.192.77.3", 0, "lo");
	struct listen_config bad = listen_on("239.192.77.3", 0, "lo");
	struct destination_conf to = send_to("239.192.77.3", 0, "lo");
	static const uint8_t local[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
	static const uint8_t other[16] = {[10] = 0xff, 0xff, 127, 0, 0, 9};
	int in, deaf, out;
	char text[8];

	good.sources = bad.sources = 1;
	good.source[0].bits = bad.source[0].bits = 128;
	memcpy(good.source[0].address, local, sizeof(local));
	memcpy(bad.source[0].address, other, sizeof(other));
	in = open_input(&good);
	((struct sockaddr_in *)&to.address)->sin_port = htons(port_of(in));
	((struct sockaddr_in *)&bad.address)->sin_port = htons(port_of(in));
	deaf = open_input(&bad);
	out = open_output(&to);
	assert_int_equal(send(out, "hello", 5, 0), 5);
	assert_true(wait_readable(in, DEADLINE_MS));
	assert_int_equal(recv(deaf, text, sizeof(text), 0), -1);
	close(in);
	close(deaf);
	close(out);
}

static void
unicast_ttl(void **state ATTR_UNUSED)
{
	struct destination_conf to = send_to("127.0.0.1", 9, "lo");
	int fd = open_output(&to);

	assert_int_equal(option(fd, IPPROTO_IP, IP_TTL), 3);
	close(fd);
	need_v6();
	to = send_to("::1", 9, "");
	fd = open_output(&to);
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 3);
	close(fd);
}

/* A reload: the new socket is bound while the old one still has the address,
 * and gets what comes from then on. */
static void
address_is_handed_over(void **state ATTR_UNUSED)
{
	struct listen_config listen = listen_on("127.0.0.1", 0, "");
	struct destination_conf to = send_to("127.0.0.1", 0, "");
	int before = open_input(&listen), after, out;
	const char *what;
	char text[8];

	((struct sockaddr_in *)&listen.address)->sin_port =
	    ((struct sockaddr_in *)&to.address)->sin_port =
	    htons(port_of(before));
	out = open_output(&to);
	after = sockets_input(&listen, &what);
	assert_int_equal(sockets_bind(after, &listen, &what), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_string_equal(what, "bind");
	assert_int_equal(send(out, "old", 3, 0), 3);
	sockets_share(before, true);
	sockets_share(after, true);
	assert_int_equal(sockets_bind(after, &listen, &what), 0);
	sockets_share(before, false);
	sockets_share(after, false);
	assert_int_equal(send(out, "newer", 5, 0), 5);
	assert_true(wait_readable(after, DEADLINE_MS));
	assert_int_equal(recv(after, text, sizeof(text), 0), 5);
	assert_int_equal(recv(before, text, sizeof(text), 0), 3);
	close(before);
	close(after);
	close(out);
}

/* A socket's last datagrams are counted, coalesced ones one by one. */
static void
last_datagrams_are_counted(void **state ATTR_UNUSED)
{
	struct listen_config listen = listen_on("127.0.0.1", 0, "");
	struct destination_conf to = send_to("127.0.0.1", 0, "");
	int in = open_input(&listen), out, segment = 10;
	char data[95] = "";

	sockets_receive_buffer(in, 1024 * 1024);
	((struct sockaddr_in *)&to.address)->sin_port = htons(port_of(in));
	out = open_output(&to);
	assert_int_equal(send(out, "", 0, 0), 0);
	assert_int_equal(send(out, "one", 3, 0), 3);
	assert_int_equal(setsockopt(out, IPPROTO_UDP, UDP_SEGMENT, &segment,
	    sizeof(segment)), 0);
	assert_int_equal(send(out, data, sizeof(data), 0), sizeof(data));
	assert_true(wait_readable(in, DEADLINE_MS));
	assert_int_equal(sockets_close_door(in), 2 + 10);
	/* And there are none after them. */
	assert_int_equal(send(out, data, sizeof(data), 0), sizeof(data));
	assert_int_equal(recv(in, data, sizeof(data), 0), -1);
	assert_int_equal(sockets_close_door(in), 0);
	close(in);
	close(out);
}

/* What goes in at one end comes out at the other; nobody else gets in. */
static void
pair_is_private(void **state ATTR_UNUSED)
{
	struct listen_config listen = listen_on("127.0.0.1", 0, "");
	struct destination_conf to = send_to("127.0.0.1", 0, "");
	int input, feed, other, stranger;
	const char *what;
	char data[2];

	assert_int_equal(sockets_pair(&listen, &input, &feed, &what), 0);
	assert_int_equal(sockets_pair(&listen, &other, &stranger, &what), 0);
	assert_true(sockets_are_pair(input, feed));
	assert_false(sockets_are_pair(input, stranger));
	assert_false(sockets_are_pair(other, feed));
	assert_false(sockets_are_pair(input, -1));
	assert_true(sockets_bound_to(input, &listen));
	assert_int_equal(option(input, SOL_SOCKET, SO_TIMES), 1);
	close(stranger);
	to.address = address_of("127.0.0.1", port_of(input));
	stranger = open_output(&to);
	assert_int_equal(send(stranger, "x", 1, 0), 1);
	assert_int_equal(send(feed, "y", 1, 0), 1);
	assert_true(wait_readable(input, DEADLINE_MS));
	assert_int_equal(recv(input, data, sizeof(data), 0), 1);
	assert_int_equal(data[0], 'y');
	assert_int_equal(recv(input, data, sizeof(data), 0), -1);
	close(input);
	close(feed);
	close(other);
	close(stranger);
}

static void
inputs_are_compared(void **state ATTR_UNUSED)
{
	struct listen_config a = listen_on("239.192.77.4", 5, "lo");
	struct listen_config b = a;

	/* Who may send is the worker's matter... */
	b.sources = 1;
	b.source[0].bits = 104;
	assert_true(sockets_same_input(&a, &b));
	/* ...unless the group is joined for them alone. */
	b.source[0].bits = 128;
	assert_false(sockets_same_input(&a, &b));
	a = b;
	assert_true(sockets_same_input(&a, &b));
	b.source[0].address[15] = 1;
	assert_false(sockets_same_input(&a, &b));
	b = a;
	b.interface[0] = '\0';
	assert_false(sockets_same_input(&a, &b));
	b = a;
	b.address = address_of("239.192.77.4", 6);
	assert_false(sockets_same_input(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_has_its_options),
		cmocka_unit_test(interface_is_named),
		cmocka_unit_test(group_goes_out_where_told),
		cmocka_unit_test(wildcard_hears_no_group),
		cmocka_unit_test(only_named_sources_are_joined),
		cmocka_unit_test(unicast_ttl),
		cmocka_unit_test(address_is_handed_over),
		cmocka_unit_test(last_datagrams_are_counted),
		cmocka_unit_test(pair_is_private),
		cmocka_unit_test(inputs_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
