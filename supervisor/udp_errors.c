/* SPDX-License-Identifier: ISC */
/*
 * The kernel's counters of datagrams that it dropped.  See udp_errors.h.
 * Supervisor only, and the doctor.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/udp_errors.h"

static const char *const names[UDP_ERRORS] = {
#define UDP_ERROR_NAME(constant, name)	#name,
	UDP_ERROR_TABLE(UDP_ERROR_NAME)
#undef UDP_ERROR_NAME
};

static void
add(struct udp_errors *errors, const char *name, uint64_t value)
{
	size_t i;

	for (i = 0; i < UDP_ERRORS; i++)
		if (strcmp(names[i], name) == 0) {
			errors->value[i] += value;
			errors->known[i] = true;
		}
}

/* The names in one line, the values in the next; both begin with "Udp: ". */
static void
read_pair(struct udp_errors *errors, char *heads, char *values)
{
	char *save_name, *save_value;
	char *name = strtok_r(heads, " \n", &save_name);
	char *value = strtok_r(values, " \n", &save_value);

	while (name != NULL && value != NULL) {
		add(errors, name, strtoull(value, NULL, 10));
		name = strtok_r(NULL, " \n", &save_name);
		value = strtok_r(NULL, " \n", &save_value);
	}
}

static void
read_v4(struct udp_errors *errors, FILE *file)
{
	char heads[512] = "", line[512];

	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "Udp: ", 5) != 0)
			continue;
		if (heads[0] != '\0') {
			read_pair(errors, heads, line);
			return;
		}
		memcpy(heads, line, sizeof(heads));
	}
}

static void
read_v6(struct udp_errors *errors, FILE *file)
{
	char name[64], line[256];
	uint64_t value;

	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Udp6%63s %" SCNu64, name, &value) == 2)
			add(errors, name, value);
}

static void
read_file(struct udp_errors *errors, const char *path,
    void (*reader)(struct udp_errors *, FILE *))
{
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return;
	reader(errors, file);
	fclose(file);
}

void
udp_errors_read(struct udp_errors *errors)
{
	memset(errors, 0, sizeof(*errors));
	read_file(errors, "/proc/net/snmp", read_v4);
	read_file(errors, "/proc/net/snmp6", read_v6);
}

const char *
udp_errors_name(enum udp_error error)
{
	return names[error];
}
