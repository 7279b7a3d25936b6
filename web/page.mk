# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# web/page: the live page, served by mcrelay-web as it is.
#
PAGE = web/page/channel.js web/page/charts.js web/page/icon.svg \
	web/page/index.html web/page/ledger.js web/page/link.js \
	web/page/overview.js web/page/page.css web/page/page.js \
	web/page/picker.js web/page/series.js web/page/strip.js \
	web/page/text.js
EXTRA_DIST += web/package.json web/package-lock.json $(PAGE) doc/page.png

# What draws the charts, wherever configure has found it.
if UPLOT
UPLOT_FILES = $(UPLOT_DIR)/uPlot.iife.min.js $(UPLOT_DIR)/uPlot.min.css
endif

if WEB
wwwdir = $(pkgdatadir)/web
www_DATA = $(PAGE) $(UPLOT_FILES)
# All in one directory, as when installed: for programs that run from here.
noinst_DATA += web-page/.copied
endif

web-page/.copied: $(PAGE) $(UPLOT_FILES)
	@rm -rf web-page && $(MKDIR_P) web-page
	$(AM_V_GEN)for file in $(PAGE); do \
	    cp "$(srcdir)/$$file" web-page || exit 1; done; \
	    for file in $(UPLOT_FILES); do \
	    cp "$$file" web-page || exit 1; done; \
	    : >$@

clean-local:
	rm -rf web-page

# A release has it with it.
if UPLOT
dist-uplot:
	$(MKDIR_P) "$(distdir)/web/uplot"
	cp $(UPLOT_FILES) "$(distdir)/web/uplot"
	if [ -f "$(UPLOT_DIR)/LICENSE" ]; \
	    then cp "$(UPLOT_DIR)/LICENSE" "$(distdir)/web/uplot"; \
	    else cp "$(UPLOT_DIR)/../LICENSE" "$(distdir)/web/uplot"; fi
else
dist-uplot:
	@echo "Without uPlot, which draws charts: npm ci in web/, configure." >&2
endif
.PHONY: dist-uplot
