/* Search for pages that are opened as files: there browsers start no worker, so its script runs in a hidden frame.
   Material's plugin `offline` would load a shim of this name from the network. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inside = frame.contentWindow
      const load = address => new Promise((done, fail) => {
        const script = this.inside.document.createElement("script")
        script.src = address
        script.onload = done
        script.onerror = fail
        this.inside.document.body.append(script)
      })
      this.inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.inside.importScripts = (...addresses) =>
        addresses.reduce((before, address) => before.then(() => load(address)), Promise.resolve())
      this.ready = load(url)
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
