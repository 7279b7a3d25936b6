/* SPDX-License-Identifier: ISC */
/*
 * The files of the live page.  mcrelay-web only.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "web/pages.h"
#include "web/web_priv.h"

/* More is no page. */
#define PAGES_MAX	64U
#define PAGE_MAX	((off_t)1024 * 1024)
#define PAGES_SIZE_MAX	((size_t)2 * 1024 * 1024)

/* Files of other kinds are none of ours. */
static const struct {
	const char	*end;
	const char	*type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".svg", "image/svg+xml"},
};

struct page {
	char			 name[64];
	const char		*type;
	char			 tag[24];
	/* As it is, packed (NULL: not worth it), not changed. */
	struct MHD_Response	*plain;
	struct MHD_Response	*packed;
	struct MHD_Response	*same;
};

static struct page	pages[PAGES_MAX];
static size_t		count;
static size_t		total;		/* bytes */

void
pages_protect(struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{"Content-Security-Policy", "default-src 'none'; "
		    "script-src 'self'; style-src 'self'; img-src 'self'; "
		    "connect-src 'self'; base-uri 'none'; "
		    "form-action 'none'; frame-ancestors 'none'"},
		{"Referrer-Policy", "no-referrer"},
		{"X-Content-Type-Options", "nosniff"},
	};
	size_t i;

	for (i = 0; i < NITEMS(headers); i++)
		(void)MHD_add_response_header(response, headers[i][0],
		    headers[i][1]);
}

/* Takes `text'. */
static struct MHD_Response *
make(const struct page *page, char *text, size_t size)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size,
	    text, MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		fatalx("out of memory");
	pages_protect(response);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	    page->type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG,
	    page->tag);
	(void)MHD_add_response_header(response,
	    MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_VARY,
	    MHD_HTTP_HEADER_ACCEPT_ENCODING);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION,
	    "close");
	return response;
}

/* NULL: there is no such file. */
static char *
read_file(int directory, const char *name, size_t *size)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	struct stat st;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size <= PAGE_MAX) {
		*size = (size_t)st.st_size;
		text = xmalloc(*size + 1);
		if (read(fd, text, *size) != (ssize_t)*size) {
			free(text);
			text = NULL;
		}
	}
	close(fd);
	return text;
}

/* It only has to be another one for another file; a weak one, as it is the same
 * however the file is packed. */
static void
set_tag(struct page *page, const char *text, size_t size)
{
	snprintf(page->tag, sizeof(page->tag), "W/\"%016" PRIx64 "\"",
	    hash_bytes64(HASH_BEGIN64, text, size));
}

static void
load(struct page *page, int directory)
{
	size_t size, packed_size;
	char *text = read_file(directory, page->name, &size), *packed;

	if (text == NULL || size > PAGES_SIZE_MAX - total) {
		free(text);
		return;
	}
	total += size;
	count++;
	set_tag(page, text, size);
	page->same = make(page, xstrdup(""), 0);
	packed = answer_packed(text, size, &packed_size);
	if (packed != NULL) {
		page->packed = make(page, packed, packed_size);
		(void)MHD_add_response_header(page->packed,
		    MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	}
	page->plain = make(page, text, size);
}

/* NULL: it is no page. */
static const char *
type_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t i;

	if (dot == NULL || name[0] == '.')
		return NULL;
	for (i = 0; i < NITEMS(types); i++)
		if (strcmp(dot, types[i].end) == 0)
			return types[i].type;
	return NULL;
}

void
pages_load(void)
{
	const char *place = getenv("MCRELAY_WEBDIR");
	const struct dirent *entry;
	struct page *page;
	DIR *directory;

	if (place == NULL)
		place = PKGDATADIR "/web";
	directory = opendir(place);
	if (directory == NULL) {
		log_info("there is no live page: %s: %s", place,
		    strerror(errno));
		return;
	}
	while (count < PAGES_MAX && (entry = readdir(directory)) != NULL) {
		page = &pages[count];
		page->type = type_of(entry->d_name);
		if (page->type == NULL ||
		    strlen(entry->d_name) >= sizeof(page->name))
			continue;
		strcpy(page->name, entry->d_name);
		load(page, dirfd(directory));
	}
	closedir(directory);
}

void
pages_free(void)
{
	while (count > 0) {
		count--;
		MHD_destroy_response(pages[count].plain);
		MHD_destroy_response(pages[count].same);
		if (pages[count].packed != NULL)
			MHD_destroy_response(pages[count].packed);
	}
}

bool
pages_find(struct MHD_Connection *connection, const char *url, bool gzip,
    struct MHD_Response **response, unsigned *code)
{
	const char *known = MHD_lookup_connection_value(connection,
	    MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const char *name = strcmp(url, "/") == 0 ? "index.html" : url + 1;
	const struct page *page = pages;

	while (page < pages + count && strcmp(page->name, name) != 0)
		page++;
	if (url[0] != '/' || page == pages + count)
		return false;
	*code = MHD_HTTP_OK;
	*response = gzip && page->packed != NULL ? page->packed : page->plain;
	if (known != NULL && strcmp(known, page->tag) == 0) {
		*code = MHD_HTTP_NOT_MODIFIED;
		*response = page->same;
	}
	return true;
}
