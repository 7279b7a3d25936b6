/* SPDX-License-Identifier: ISC */
/*
 * Checking a list of users for mcrelay-web: "NAME:HASH" each, as htpasswd -B,
 * mkpasswd and openssl passwd -6 make them.  Supervisor only.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_CRYPT
#include <crypt.h>
#endif

#include "common/util.h"
#include "common/web_config.h"
#include "supervisor/report.h"
#include "supervisor/web_files.h"

#ifdef HAVE_CRYPT

/* Each takes a second at most: nobody waits longer, and many wait for one. */
#define BCRYPT_COST_MAX		14
#define SHA512_ROUNDS_MAX	2000000

/* A way to hash passwords, and a hash by it that takes no time, to see whether
 * crypt() has it. */
static const struct method {
	const char	*prefix;
	const char	*example;
	size_t		 digest;	/* at the end of a hash */
	size_t		 size;		/* of a hash; 0: they differ */
} methods[] = {
	{"$2y$", "$2y$04$abcdefghijklmnopqrstuu", 31, 60},
	{"$2b$", "$2b$04$abcdefghijklmnopqrstuu", 31, 60},
	{"$2a$", "$2a$04$abcdefghijklmnopqrstuu", 31, 60},
	{"$6$", "$6$rounds=1000$abcdefgh", 86, 0},
	{"$y$", "$y$j75$abcdefghijklmnop", 43, 0},
};

/* Of those that are none, what people have all the same. */
static const struct {
	const char	*prefix;
	const char	*name;
} weak[] = {
	{"$apr1$", "Apache's MD5 ($apr1$)"},
	{"$1$", "MD5 ($1$)"},
	{"$5$", "SHA-256 ($5$)"},
	{"{SHA}", "SHA-1 ({SHA})"},
	{"{SSHA}", "SHA-1 ({SSHA})"},
	{"$7$", "scrypt ($7$)"},
	{"$2x$", "bcrypt with a flaw ($2x$)"},
};

struct line {
	const char	*path;
	unsigned	 number;
	struct conf_problems *problems;
};

static bool
begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Asked once for each: there are a thousand users, and a millisecond each. */
static bool
crypt_has(const struct method *method)
{
	static bool asked[NITEMS(methods)], has[NITEMS(methods)];
	size_t which = (size_t)(method - methods);
	struct crypt_data *data;
	const char *hash;

	if (asked[which])
		return has[which];
	data = xcalloc(1, sizeof(*data));
	hash = crypt_r("", method->example, data);
	asked[which] = true;
	has[which] = hash != NULL && begins(hash, method->prefix);
	free(data);
	return has[which];
}

static bool
is_digits(const char *text, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '.' &&
		    text[i] != '/')
			return false;
	return true;
}

/* Else no password has it, since something is missing or too much. */
static bool
is_whole(const struct method *method, const char *hash)
{
	size_t size = strlen(hash);

	return size > strlen(method->prefix) + method->digest &&
	    size < WEB_HASH_SIZE &&
	    (method->size == 0 || (size == method->size && hash[6] == '$')) &&
	    (method->size != 0 || hash[size - method->digest - 1] == '$') &&
	    is_digits(hash + size - method->digest, method->digest);
}

static bool
is_slow(const struct method *method, const char *hash)
{
	const char *cost = hash + strlen(method->prefix);

	if (begins(method->prefix, "$2"))
		return strtoul(cost, NULL, 10) > BCRYPT_COST_MAX;
	if (begins(method->prefix, "$6"))
		return begins(cost, "rounds=") &&
		    strtoul(cost + strlen("rounds="), NULL, 10) >
		    SHA512_ROUNDS_MAX;
	/* Of yescrypt, "j9T" takes 16 MiB of memory, "jAT" twice that. */
	return cost[0] != 'j' || cost[1] > 'A' || cost[2] > 'T';
}

static void
refuse_hash(const struct line *line, const char *hash)
{
	static const char advice[] = "make it with htpasswd -B, or mkpasswd "
	    "-m sha512crypt";
	size_t i;

	for (i = 0; i < NITEMS(weak); i++)
		if (begins(hash, weak[i].prefix)) {
			report_error(line->problems, "%s:%u: %s is not "
			    "supported: %s", line->path, line->number,
			    weak[i].name, advice);
			return;
		}
	report_error(line->problems, "%s:%u: this is no hash of bcrypt, "
	    "SHA-512 or yescrypt: %s", line->path, line->number, advice);
}

static void
check_hash(const struct line *line, const char *hash)
{
	const struct method *method = NULL;
	size_t i;

	for (i = 0; i < NITEMS(methods); i++)
		if (begins(hash, methods[i].prefix))
			method = &methods[i];
	if (method == NULL)
		refuse_hash(line, hash);
	else if (!crypt_has(method))
		report_error(line->problems, "%s:%u: the libcrypt of this "
		    "system does not know %s", line->path, line->number,
		    method->prefix);
	else if (!is_whole(method, hash))
		report_error(line->problems, "%s:%u: the hash is not whole, "
		    "or something follows it", line->path, line->number);
	else if (is_slow(method, hash))
		report_error(line->problems, "%s:%u: to compare a password "
		    "with this hash takes too long: make it with a lower "
		    "cost", line->path, line->number);
}

/* `text' is that line; what is before the colon becomes a text of its own. */
static const char *
check_line(const struct line *line, char *text)
{
	char *colon = strchr(text, ':');

	if (colon == NULL || colon == text) {
		report_error(line->problems, "%s:%u: not NAME:HASH",
		    line->path, line->number);
		return NULL;
	}
	*colon = '\0';
	if (strlen(text) >= WEB_NAME_SIZE)
		report_error(line->problems, "%s:%u: the name is longer than "
		    "%u bytes", line->path, line->number, WEB_NAME_SIZE - 1);
	check_hash(line, colon + 1);
	return text;
}

static void
check_twice(const struct line *line, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i + 1 < count; i++)
		if (strcmp(names[i], names[count - 1]) == 0) {
			report_error(line->problems, "%s:%u: the user `%s' "
			    "is there twice", line->path, line->number,
			    names[i]);
			return;
		}
}

void
web_users_check(const char *path, const char *text,
    struct conf_problems *problems)
{
	struct line line = {path, 0, problems};
	char *copy = xstrdup(text), *rest = copy, *each;
	const char **names = xcalloc(WEB_USERS_MAX, sizeof(*names));
	size_t count = 0;

	while ((each = strsep(&rest, "\n")) != NULL) {
		line.number++;
		if (each[0] == '\0' || each[0] == '#')
			continue;
		if (count == WEB_USERS_MAX)
			break;
		names[count] = check_line(&line, each);
		if (names[count] != NULL)
			check_twice(&line, names, ++count);
	}
	if (each != NULL)
		report_error(problems, "%s: more users than %u", path,
		    WEB_USERS_MAX);
	else if (count == 0)
		report_error(problems, "%s: there is no user in it: htpasswd "
		    "-B %s NAME", path, path);
	free(names);
	free(copy);
}

#else

/* The configuration has been refused. */
void
web_users_check(const char *path ATTR_UNUSED, const char *text ATTR_UNUSED,
    struct conf_problems *problems ATTR_UNUSED)
{
}

#endif /* HAVE_CRYPT */
