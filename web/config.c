/* SPDX-License-Identifier: ISC */
/*
 * Who may read, as the supervisor has told.  mcrelay-web only.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/prefix.h"
#include "common/util.h"
#include "web/config.h"

static struct {
	struct web_config	 head;
	char			*file;		/* mapped; NULL: forgotten */
	size_t			 size;
	struct web_user		*user;
	size_t			 users;
} config;

static void
map(void)
{
	struct stat st;

	if (fstat(WEB_CONFIG_FD, &st) == -1 ||
	    st.st_size < (off_t)sizeof(config.head))
		fatalx("no configuration (descriptor %d): mcrelayd starts "
		    "this program", WEB_CONFIG_FD);
	config.size = (size_t)st.st_size;
	config.file = mmap(NULL, config.size, PROT_READ, MAP_SHARED,
	    WEB_CONFIG_FD, 0);
	if (config.file == MAP_FAILED)
		fatal("configuration");
	/* There is the key. */
	(void)madvise(config.file, config.size, MADV_DONTDUMP);
	memcpy(&config.head, config.file, sizeof(config.head));
	close(WEB_CONFIG_FD);
}

/* The supervisor has looked at the lines. */
static void
add_user(const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size);
	struct web_user *user;
	size_t name, hash;

	if (size == 0 || line[0] == '#' || colon == NULL)
		return;
	name = (size_t)(colon - line);
	hash = size - name - 1;
	if (name >= WEB_NAME_SIZE || hash >= WEB_HASH_SIZE)
		return;
	config.user = xgrow(config.user, config.users, sizeof(*config.user));
	user = &config.user[config.users++];
	memset(user, 0, sizeof(*user));
	memcpy(user->name, line, name);
	memcpy(user->hash, colon + 1, hash);
}

static void
read_users(const char *text)
{
	size_t size;

	for (; *text != '\0'; text += size + (text[size] == '\n')) {
		size = strcspn(text, "\n");
		add_user(text, size);
	}
	if (config.users == 0)
		fatalx("a list of users without any");
}

void
config_load(void)
{
	const char *users;

	map();
	if ((users = config_text(WEB_USERS)) != NULL)
		read_users(users);
}

const char *
config_text(enum web_text which)
{
	const char *text = config.file + sizeof(config.head);
	int i;

	if (config.file == NULL || config.head.size[which] == 0)
		return NULL;
	for (i = 0; i < (int)which; i++)
		text += config.head.size[i];
	return text;
}

void
config_forget(void)
{
	(void)munmap(config.file, config.size);
	config.file = NULL;
}

size_t
config_users(void)
{
	return config.users;
}

const struct web_user *
config_user(size_t index)
{
	return &config.user[index];
}

const struct web_user *
config_find_user(const char *name)
{
	size_t i;

	for (i = 0; i < config.users; i++)
		if (strcmp(config.user[i].name, name) == 0)
			return &config.user[i];
	return NULL;
}

void
config_address(const struct sockaddr *sa,
    uint8_t address[static CONFIG_ADDRESS_SIZE])
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	memset(address, 0, CONFIG_ADDRESS_SIZE);
	if (sa->sa_family == AF_INET6)
		memcpy(address, &in6->sin6_addr, CONFIG_ADDRESS_SIZE);
	else if (sa->sa_family == AF_INET) {
		memset(address + 10, 0xff, 2);
		memcpy(address + 12, &in->sin_addr, 4);
	}
}

void
config_client(const struct sockaddr *sa,
    uint8_t client[static CONFIG_ADDRESS_SIZE])
{
	config_address(sa, client);
	if (sa->sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(
	    (const struct in6_addr *)(const void *)client))
		memset(client + 8, 0, 8);
}

void
config_from(const struct sockaddr *sa, char text[static CONFIG_FROM_SIZE])
{
	uint8_t address[CONFIG_ADDRESS_SIZE];
	const struct in6_addr *in6 = (const void *)address;
	bool mapped;

	snprintf(text, CONFIG_FROM_SIZE, "%s", "a Unix socket");
	if (sa->sa_family == AF_UNIX)
		return;
	config_address(sa, address);
	mapped = IN6_IS_ADDR_V4MAPPED(in6);
	(void)inet_ntop(mapped ? AF_INET : AF_INET6, address +
	    (mapped ? 12 : 0), text, CONFIG_FROM_SIZE);
}

bool
config_allows(const struct sockaddr *sa)
{
	uint8_t address[CONFIG_ADDRESS_SIZE];
	uint32_t i, count = MIN_OF(config.head.allows, WEB_ALLOW_MAX);

	if (count == 0 || sa->sa_family == AF_UNIX)
		return true;
	config_address(sa, address);
	for (i = 0; i < count; i++)
		if (prefix_matches(&config.head.allow[i], address))
			return true;
	return false;
}
