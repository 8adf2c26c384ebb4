# Lists answers, takes one table and draws it, from R. It needs the packages httr2 and jsonlite.
#
#   Rscript ask.R https://statistics.example chart.svg
#
# A token goes in through the environment, never on the command line, where others on the computer could read it:
#
#   HOMELESSNESS_TOKEN=hst_… Rscript ask.R https://statistics.example chart.svg
#
# Without one you get what is public. Where the certificate of the pages is from an authority of your organisation, name the
# authority's file in CURL_CA_BUNDLE, as for curl.

library(httr2)

given <- commandArgs(trailingOnly = TRUE)
if (length(given) != 2) stop("Usage: Rscript ask.R ADDRESS CHART.svg")
address <- given[1]
chart_file <- given[2]
token <- Sys.getenv("HOMELESSNESS_TOKEN")
authority <- Sys.getenv("CURL_CA_BUNDLE")

# What went wrong comes as a problem document: say its sentence and what to do, not only the status.
problem <- function(response) {
  said <- resp_body_json(response, check_type = FALSE)
  trimws(paste(said$detail, said$remedy))
}

ask <- function(path, ...) {
  asked <- request(paste0(address, path))
  asked <- req_url_query(asked, ...)
  asked <- req_user_agent(asked, "ask.R")
  asked <- req_error(asked, body = problem)
  # 429 and 503 say after how long to try again.
  asked <- req_retry(asked, max_tries = 3)
  # R itself looks at this variable on Windows alone.
  if (nzchar(authority)) asked <- req_options(asked, cainfo = authority)
  if (nzchar(token)) asked <- req_auth_bearer_token(asked, token)
  req_perform(asked)
}

# List: page after page, until there is no next one.
answers <- list()
page <- resp_body_json(ask("/api/v1/releases", size = 20))
repeat {
  answers <- c(answers, page$releases)
  if (is.null(page$`next`)) break
  page <- resp_body_json(ask(page$`next`))
}
cat(length(answers), "answers\n")
for (answer in answers) {
  cat(" ", answer$created_at, answer$title, if (answer$open) "(open to you)" else "(closed to you)", "\n")
}

# Read: how the newest answer that is open to us was made.
open <- Filter(function(answer) answer$open, answers)
if (length(open) == 0) stop("No answer is open to you. A token of an account that may see one helps.")
digest <- open[[1]]$digest
made <- resp_body_json(ask(paste0("/api/v1/releases/", digest)))
cat(made$title, "\n  noise:", made$mechanism, " epsilon:", made$cost$epsilon, "\n ", made$note, "\n")

# Download: its first table as comma-separated values.
tables <- Filter(function(file) file$media_type == "text/csv" && nzchar(file$table), made$files)
table_file <- tables[[1]]
table <- read.csv(text = resp_body_string(ask(table_file$href)), check.names = FALSE)
print(table)

# Chart: estimates with their ranges. Always show the range: the figures hold noise on purpose.
label <- grep("_label$", names(table), value = TRUE)[1]
names_shown <- if (is.na(label)) seq_len(nrow(table)) else table[[label]]
svg(chart_file, width = 8, height = 5)
par(mar = c(5, 10, 3, 1))
span <- range(table$low, table$high)
rows <- rev(seq_len(nrow(table)))
plot(table$estimate, rows, xlim = span, yaxt = "n", pch = 19, xlab = "Households", ylab = "", main = made$title)
segments(table$low, rows, table$high, rows)
axis(2, at = rows, labels = names_shown, las = 1)
invisible(dev.off())
cat("Wrote", chart_file, "\n")
