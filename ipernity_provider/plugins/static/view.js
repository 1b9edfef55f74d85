"use strict";

// Airflow shows these pages in a frame of its own address.
const outer = (() => {
  try { return parent !== window && parent.document ? parent.document : null } catch { return null }
})()

// The light or dark that a person has chosen in Airflow, also when they choose again.
if (outer) {
  const follow = () => {
    const { classList } = outer.documentElement
    const theme = ["dark", "light"].find(name => classList.contains(name))
    if (theme) document.documentElement.dataset.theme = theme
  }
  follow()
  new MutationObserver(follow).observe(outer.documentElement, { attributeFilter: ["class"] })
}

// The frame may neither open windows nor lead Airflow itself elsewhere: so its page does that. What
// has an address there, too, stays in the frame of that address.
if (outer) document.addEventListener("click", event => {
  const link = event.target.closest("a.inside, a.outside")
  const { outer: other } = link?.dataset ?? {}
  if (!link || (other && parent.location.pathname.startsWith(other))) return
  event.preventDefault()
  const same = outer.createElement("a")
  same.href = other ?? link.href
  const apart = link.matches(".outside") || event.ctrlKey || event.metaKey || event.shiftKey
  if (apart) Object.assign(same, { target: "_blank", rel: "noopener noreferrer" })
  outer.body.append(same)
  same.click()
  same.remove()
})

// Where there is no picture, the server says why.
for (const picture of document.querySelectorAll(".frame img")) {
  const explain = async () => {
    const why = document.createElement("p")
    why.textContent = picture.alt
    picture.replaceWith(why)
    const answer = await fetch(picture.src)
    if (answer.headers.get("content-type")?.startsWith("text/plain")) why.textContent = await answer.text()
  }
  if (picture.complete && !picture.naturalWidth) explain()
  else picture.addEventListener("error", explain)
}

// A click on a column's head sorts by it, another one turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, column) => {
    const button = document.createElement("button")
    button.type = "button"
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener("click", () => {
      const turn = head.ariaSort === "ascending" ? -1 : 1
      const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim()
      const compare = (a, b) => turn * key(a).localeCompare(key(b), undefined, { numeric: true })
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare))
      for (const other of heads) other.ariaSort = "none"
      head.ariaSort = turn > 0 ? "ascending" : "descending"
    })
  })
}
