/* SPDX-License-Identifier: ISC */
/*
 * Reads /proc/net/igmp and /proc/net/igmp6.  See memberships.h.  Supervisor
 * only.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/memberships.h"

static void
add(struct memberships *memberships, int index, const struct in6_addr *group)
{
	struct membership *each;

	memberships->list = xgrow(memberships->list, memberships->count,
	    sizeof(*memberships->list));
	each = &memberships->list[memberships->count++];
	each->index = index;
	each->group = *group;
}

static void
map(struct in6_addr *group, in_addr_t in)
{
	memset(group, 0, sizeof(*group));
	group->s6_addr[10] = group->s6_addr[11] = 0xff;
	memcpy(&group->s6_addr[12], &in, sizeof(in));
}

/* An interface, then its groups: each as the number that it has in memory. */
static void
read_v4(struct memberships *memberships, FILE *file)
{
	struct in6_addr group;
	char line[256];
	int index = 0;
	uint32_t in;

	while (fgets(line, sizeof(line), file) != NULL) {
		if (line[0] != '\t')
			index = atoi(line);
		else if (sscanf(line, " %8x", &in) == 1) {
			map(&group, in);
			add(memberships, index, &group);
		}
	}
}

static bool
parse_v6(const char *digits, struct in6_addr *group)
{
	unsigned byte;
	size_t i;

	for (i = 0; i < sizeof(group->s6_addr); i++) {
		if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
			return false;
		group->s6_addr[i] = (uint8_t)byte;
	}
	return true;
}

/* Index, name and group in each line. */
static void
read_v6(struct memberships *memberships, FILE *file)
{
	struct in6_addr group;
	char line[256], digits[33];
	int index;

	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%d %*s %32s", &index, digits) == 2 &&
		    strlen(digits) == 32 && parse_v6(digits, &group))
			add(memberships, index, &group);
}

void
memberships_read(struct memberships *memberships)
{
	FILE *file = fopen("/proc/net/igmp", "re");

	memset(memberships, 0, sizeof(*memberships));
	memberships->v4 = file != NULL;
	if (file != NULL) {
		read_v4(memberships, file);
		fclose(file);
	}
	file = fopen("/proc/net/igmp6", "re");
	memberships->v6 = file != NULL;
	if (file != NULL) {
		read_v6(memberships, file);
		fclose(file);
	}
}

bool
memberships_have(const struct memberships *memberships, int index,
    const struct sockaddr_storage *group)
{
	const struct sockaddr_in6 *in6 = (const void *)group;
	const struct sockaddr_in *in = (const void *)group;
	struct in6_addr wanted = in6->sin6_addr;
	size_t i;

	if (!(group->ss_family == AF_INET ? memberships->v4 :
	    memberships->v6))
		return true;
	if (group->ss_family == AF_INET)
		map(&wanted, in->sin_addr.s_addr);
	for (i = 0; i < memberships->count; i++)
		if (memberships->list[i].index == index &&
		    IN6_ARE_ADDR_EQUAL(&memberships->list[i].group, &wanted))
			return true;
	return false;
}

void
memberships_free(struct memberships *memberships)
{
	free(memberships->list);
	memset(memberships, 0, sizeof(*memberships));
}
