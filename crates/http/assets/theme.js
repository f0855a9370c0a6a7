// Before the first paint: what the browser can do, and the colours that the reader chose on this machine.
if (window.PublicKeyCredential) document.documentElement.dataset.passkeys = "";
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";
} catch {}
